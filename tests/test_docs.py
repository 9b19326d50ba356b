"""What the documentation names exists."""

import re
from pathlib import Path

import pytest

from segeval.cli import command_line
from segeval.evaluate.report.under_attack_terminal import NUMBERS

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "jetson/README.md", *DOCS]
CODE = ("segeval", "generate", "deploy", "evaluate", "jetson", "benchmarks", "tests")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def links_of(text: str) -> list[str]:
    """The relative links and pictures of a page."""
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:", link)]


def anchors_of(text: str) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    names = [re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings]
    repeats = [names[:place].count(name) for place, name in enumerate(names)]
    return {f"{name}-{repeat}" if repeat else name for name, repeat in zip(names, repeats, strict=True)}


@pages
def test_every_relative_link_and_picture_leads_somewhere(page: Path) -> None:
    for link in links_of(page.read_text(encoding="utf-8")):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target.read_text(encoding="utf-8")), link


def test_an_anchor_follows_the_rule_of_github() -> None:
    text = "# `fgsm` (Eq. 1)\n```sh\n# no heading\n```\n## version × name\n### By-kind of_pixel\n## `fgsm` (Eq. 1)\n"
    assert anchors_of(text) == {"fgsm-eq-1", "version--name", "by-kind-of_pixel", "fgsm-eq-1-1"}


def test_every_page_that_code_or_a_page_names_exists() -> None:
    files = [path for folder in CODE for path in (ROOT / folder).rglob("*.py")] + [ROOT / "Makefile", *PAGES]
    named = {
        page for file in files for page in re.findall(r"(?<![\w/])docs/[\w-]+\.md", file.read_text(encoding="utf-8"))
    }
    assert sorted(page for page in named if not (ROOT / page).exists()) == []


def test_the_index_names_every_page_once() -> None:
    links = links_of((ROOT / "docs/README.md").read_text(encoding="utf-8"))
    assert sorted(links) == [page.name for page in DOCS if page.name != "README.md"]


def test_the_glossary_has_the_words_of_tables_and_tasks() -> None:
    """Parts of the names of tasks that are no classes, headings of tables, and what two pages mean differently."""
    bold = re.findall(r"\*\*(.+?)\*\*", (ROOT / "docs/glossary.md").read_text(encoding="utf-8"))
    terms = {term.casefold() for term in bold}
    columns = set(NUMBERS) - {"mIoU", "n"}
    assert {term.casefold() for term in (*columns, "ratio", "parity", "vru", "as unoptimised", "engine")} <= terms


@pages
def test_no_placeholder_is_left(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if re.fullmatch(r"[A-Z]+_[A-Z_]+", line.strip())] == []


@pages
def test_every_command_that_is_named_exists(page: Path) -> None:
    named = re.findall(r"(?:`|^ {4,})segeval ([a-z][\w-]*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(named) <= command_line.commands.keys()
    assert named or page != ROOT / "README.md"

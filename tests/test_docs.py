"""What the documentation names exists."""

import re
from pathlib import Path

import pytest

from segeval.cli import command_line

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pages
def test_every_relative_link_and_picture_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    files = [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]
    assert [file for file in files if not (page.parent / file).exists()] == []


@pages
def test_no_placeholder_is_left(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if re.fullmatch(r"[A-Z]+_[A-Z_]+", line.strip())] == []


@pages
def test_every_command_that_is_named_exists(page: Path) -> None:
    named = re.findall(r"(?:`|^ {4,})segeval ([a-z][\w-]*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(named) <= command_line.commands.keys()
    assert named or page.name != "README.md"

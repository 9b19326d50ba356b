"""The report as a whole: made from any part of a reproduction, the same each time, and asking nobody for anything."""

import io
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from segeval.classes import CAMVID
from segeval.errors import ConfigurationError, DataError, IntegrityError, SegevalError
from segeval.evaluate.report.renewal import hashes_below
from segeval.files.encoding import encode_sealed
from segeval.files.experiments import PARTS, ExperimentFolder, Part
from segeval.progress import silent
from segeval.reproduce.kang2020 import summary_table, write_report
from segeval.reproduce.kang2020.kang2020_terminal import read

Build = Callable[..., ExperimentFolder]
HOSTILE = "<img src=x onerror=alert(1)>"
OUTPUTS = ("</style><script>alert(2)</script>", *CAMVID.names[1:], '"><svg onload=alert(3)>')


def contents(folder: ExperimentFolder) -> dict[str, bytes]:
    root = folder.root / "report"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


class Page(HTMLParser):
    """Tags of a page with their attributes, and of each table its caption, headings and rows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[tuple[str, dict[str, str | None]]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        elif tag in ("caption", "th", "tr", "td") and self.tables:
            self.tables[-1].append((tag, dict(attrs)))


def page_of(folder: ExperimentFolder) -> Page:
    return Page((folder.root / "report" / "report.html").read_text(encoding="utf-8"))


def test_no_request_leaves(shared: ExperimentFolder) -> None:
    page = page_of(shared)
    for tag, attributes in page.tags:
        assert tag not in ("script", "iframe", "object", "embed", "form", "base")
        for name in ("src", "href", "xlink:href", "srcset", "action", "data"):
            value = attributes.get(name) or ""
            assert value == "" or value.startswith(("data:", "#")), (tag, name, value[:80])
    policies = [
        a.get("content") or "" for tag, a in page.tags if tag == "meta" and "content" in a and "http-equiv" in a
    ]
    assert len(policies) == 1 and policies[0].startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    text = (shared.root / "report" / "report.html").read_text()
    assert "@import" not in text and "url(http" not in text


def test_tables_have_captions_and_headings(shared: ExperimentFolder) -> None:
    page = page_of(shared)
    # sets, table 1 twice together and twice per task, 9 kinds of claims, 6 matrices, gradients, 2 budgets
    assert len(page.tables) == 1 + 2 * 3 + 9 + 6 + 1 + 2
    for table in page.tables:
        assert [tag for tag, _ in table].count("caption") == 1
        starts = [index for index, (tag, _) in enumerate(table) if tag == "tr"]
        for index in starts:
            tag, attributes = table[index + 1]
            assert tag == "th" and attributes["scope"] in ("col", "row", "rowgroup")
        assert all("scope" in attributes for tag, attributes in table if tag == "th")


def test_pictures_have_words_and_ids_are_unique(shared: ExperimentFolder) -> None:
    page = page_of(shared)
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 11 and all(image["alt"] and image["width"] and image["height"] for image in images)
    charts = [attributes for tag, attributes in page.tags if tag == "svg" and attributes.get("class") == "chart"]
    assert len(charts) == 4 and all(chart["role"] == "img" and chart["aria-label"] for chart in charts)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"] or "" for tag, attributes in page.tags if tag == "a"]
    assert links and all(link[1:] in ids for link in links)


@pytest.mark.long
def test_the_same_input_gives_the_same_bytes(build_at: Build, tmp_path: Path) -> None:
    folder = build_at(tmp_path, names=("a", "b"), tasks=("vehicle-to-road",))
    write_report(folder, silent)
    first = contents(folder)
    write_report(folder, silent)
    assert contents(folder) == first


@pytest.mark.long
def test_names_are_text(build_at: Build, tmp_path: Path) -> None:
    folder = build_at(tmp_path, names=("a",), tasks=("vehicle-to-road",), dataset=HOSTILE, outputs=OUTPUTS)
    write_report(folder, silent)
    page = page_of(folder)
    assert not [
        tag for tag, attributes in page.tags if tag == "script" or "onerror" in attributes or "onload" in attributes
    ]
    assert HOSTILE.replace("<", "&lt;").replace(">", "&gt;") in (folder.root / "report" / "report.html").read_text()


@pytest.mark.parametrize("part", PARTS)
def test_any_single_part_makes_a_report(build_at: Build, tmp_path: Path, part: Part) -> None:
    folder = build_at(tmp_path, parts=(part,), names=("a", "b"), tasks=("vehicle-to-road",))
    write_report(folder, silent)
    report, files = read(folder), contents(folder)
    assert ("table1.csv" in files) == bool(report.cells) == (part == "table1")
    assert ("budgets.csv" in files) == bool(report.budgets) == (part == "budgets")
    assert ("gradients.csv" in files) == bool(report.gradients) == (part == "maps")
    assert "figures/fig1.svg" in files and ("figures/fig4.png" in files) == (part == "maps")
    assert any(note.startswith("Not part of this reproduction") for note in report.notes)
    console = Console(file=io.StringIO(), width=80)
    console.print(summary_table(folder))
    assert ("not part of this reproduction" in console.file.getvalue()) == (part != "table1")  # type: ignore[attr-defined]


def test_no_part_at_all(build_at: Build, tmp_path: Path) -> None:
    folder = build_at(tmp_path, parts=())
    write_report(folder, silent)
    assert [figure.name for figure in read(folder).figures] == ["fig1"]


def test_one_model(build_at: Build, tmp_path: Path) -> None:
    folder = build_at(tmp_path, models=("espnet-camvid",), names=("a", "b"), tasks=("vehicle-to-road",))
    write_report(folder, silent)
    report = read(folder)
    assert {cell.victims for cell in report.cells} == {("espnet-camvid",)}
    assert not {"joint", "transfer", "transfer-control"} & {claim.kind for claim in report.claims}
    names = {figure.name for figure in report.figures}
    assert {"fig2", "fig6", "fig7", "fig8"} < names and not {"fig3-local", "fig3-full"} & names
    assert 'id="transfer"' not in (folder.root / "report" / "report.html").read_text()


def test_three_models_that_are_not_the_papers(build_at: Build, tmp_path: Path) -> None:
    models = ("espnetv2-camvid", "espnet-camvid", "other")
    folder = build_at(tmp_path, models=models, names=("a", "b"), tasks=("vehicle-to-road",), parts=("table1",))
    write_report(folder, silent)
    report = read(folder)
    assert any(claim.verdict == "not in the paper" for claim in report.claims)
    assert sum("espnetv2-camvid, other" in note for note in report.notes) == 1
    assert any("joint attack here is on other models" in note for note in report.notes)
    assert {cell.paper is None for cell in report.cells if cell.model != "espnet-camvid"} == {True}


def test_an_image_that_no_model_sees_a_source_in(build_at: Build, tmp_path: Path) -> None:
    empty = [(image, model) for image in ("a", "b") for model in ("espnet-camvid", "fast-scnn-camvid")]
    folder = build_at(tmp_path, names=("a", "b"), empty=empty, parts=("table1", "budgets"))
    write_report(folder, silent)
    report = read(folder)
    assert not report.cells and not report.claims and not report.budgets
    assert report.sets[0].skipped == 2 * 2 * 3


def test_the_terminal_shows_table_1(shared: ExperimentFolder) -> None:
    console = Console(file=io.StringIO(), width=80)
    console.print(summary_table(shared))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.count("FGSM as tanh") == 8 and text.count("  paper") == 16 and ".633" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_what_is_missing_is_said(build_at: Build, tmp_path: Path) -> None:
    folder = build_at(tmp_path, names=("a",), parts=("table1",))
    with pytest.raises(DataError, match="is not there"):
        summary_table(folder)
    (folder.set("table1") / "set.json").unlink()
    with pytest.raises(DataError, match="not an adversarial set"):
        write_report(folder, silent)


@pytest.mark.long
def test_a_report_is_not_put_among_files_of_others_and_is_replaced_as_a_whole(build_at: Build, tmp_path: Path) -> None:
    folder = build_at(tmp_path, names=("a",), parts=("table1",))
    folder.report.mkdir()
    (folder.report / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="holds files that segeval did not make"):
        write_report(folder, silent)
    assert [path.name for path in folder.report.iterdir()] == ["thesis.txt"]
    (folder.report / "thesis.txt").unlink()
    write_report(folder, silent)
    (folder.report / "thesis.txt").write_text("mine")
    before = hashes_below(folder.report)
    path = folder.set("table1") / "samples.jsonl"
    data = path.read_bytes()
    path.write_bytes(data[:-9])
    with pytest.raises(SegevalError):
        write_report(folder, silent)
    assert hashes_below(folder.report) == before
    path.write_bytes(data)
    write_report(folder, silent)
    assert hashes_below(folder.report) == before


def test_what_was_changed_in_a_reproduction_is_found(build_at: Build, tmp_path: Path) -> None:
    folder = build_at(tmp_path, names=("a",), parts=("maps",))
    write_report(folder, silent)
    report = read(folder)
    found = hashes_below(folder.report)
    del found["kang2020.json"]
    assert report.files == found and {"report.html", "figures/fig4.png"} < set(found)
    folder.write(folder.read())
    (folder.maps / "maps.json").write_bytes(encode_sealed(folder.read_maps()))
    for path, use in (
        (folder.report / "kang2020.json", lambda: summary_table(folder)),
        (folder.report / "gradients.csv", lambda: summary_table(folder)),
        (folder.path, folder.read),
        (folder.maps / "maps.json", folder.read_maps),
    ):
        data = path.read_bytes()
        place = max(place for place, byte in enumerate(data) if chr(byte).isdigit())
        path.write_bytes(data[:place] + (b"1" if data[place : place + 1] != b"1" else b"2") + data[place + 1 :])
        with pytest.raises(IntegrityError):
            use()
        path.write_bytes(data)
        use()

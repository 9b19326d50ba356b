"""Names from a set or a report say what they are called and do nothing: no spreadsheet, terminal or page obeys them."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from segeval.console import show_error, visible
from segeval.errors import DataError
from segeval.evaluate import (
    Finding,
    SurvivalReport,
    clean_in_terminal,
    corruptions_in_terminal,
    differences_in_terminal,
    gates_as_junit,
    gates_as_markdown,
    survival_in_terminal,
    sweeps_in_terminal,
)
from segeval.evaluate.compare.samples_csv import read_samples
from segeval.evaluate.measure.row_key import RowKey
from segeval.evaluate.report.gallery import NO_GALLERY
from segeval.evaluate.report.page import Page
from segeval.evaluate.report.report_csv import csv_bytes, flat, quoted, unquoted
from segeval.files.encoding import encode
from segeval_runner.strict import UNPRINTABLE
from tests.evaluate.measure.test_statistics import BLANK

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

HOSTILE = "=1+1\x1b[2J\u202edaor\x07\u2028"
SHOWN = "=1+1\\x1b[2J\\u202edaor\\x07\\u2028"
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1", "''+", "＝1", "－1")


@pytest.fixture(scope="module")
def hostile(shared: tuple["World", SurvivalReport]) -> SurvivalReport:
    """The plain report, whose task and network have a hostile name."""
    text = encode(shared[1]).decode()
    for name in ("vehicle-to-road", "espnet-camvid"):
        text = text.replace(name, json.dumps(HOSTILE)[1:-1])
    return msgspec.json.decode(text, type=SurvivalReport)  # `decode` refuses it


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_looks_like_a_formula_is_a_text(text: str) -> None:
    data = csv_bytes([{"a": "b", "c": text}]).decode()
    assert list(csv.reader(io.StringIO(data, newline=""), strict=True)) == [["a", "c"], ["b", "'" + text]]


def test_numbers_and_other_texts_stay_what_they_are() -> None:
    row = {"low": -0.25, "count": -3, "none": None, "task": "vehicle-to-road", "sign": "a=b", "quote": "'a'"}
    assert csv_bytes([row]).decode().splitlines()[1] == "-0.25,-3,,vehicle-to-road,a=b,'a'"


@given(st.text(alphabet=st.sampled_from("'=+-@\t\r\nab,\"＝"), max_size=8) | st.text(max_size=20))
def test_every_text_is_read_back(text: str) -> None:
    assert unquoted(quoted(text)) == text
    assert quoted(text)[:1] not in tuple("=+-@\t\r\n＝＋－＠")


@pytest.mark.parametrize("name", [text for text in FORMULAS if "+" not in text])
def test_samples_are_read_back_equal(tmp_path: Path, name: str) -> None:
    row = replace(BLANK, sample=name, image=name, task=name, attack=name, victims=(name, "b"), model=name, engine=name)
    data = csv_bytes([flat(row)])
    (tmp_path / "samples.csv").write_bytes(data)
    assert read_samples(tmp_path) == {RowKey(name, (name, "b"), name, None, name): [row]}
    (cells,) = csv.DictReader(io.StringIO(data.decode(), newline=""))
    assert all(not cell.startswith(("=", "+", "@", "\t", "\n")) for cell in cells.values())


def printed(*parts: object) -> str:
    console = Console(file=io.StringIO(), width=200)
    for part in parts:
        console.print(part)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_a_terminal_shows_control_characters_and_obeys_none(hostile: SurvivalReport) -> None:
    tables = (
        survival_in_terminal,
        clean_in_terminal,
        corruptions_in_terminal,
        sweeps_in_terminal,
        differences_in_terminal,
    )
    said = printed(*(part for tables_of in tables for part in tables_of(hostile)))
    assert SHOWN in said
    assert set(UNPRINTABLE.findall(said)) == {"\n"}


def test_messages_show_them_too(capfd: pytest.CaptureFixture[str]) -> None:
    show_error(DataError(f"no {HOSTILE}\nin two lines", HOSTILE))
    said = capfd.readouterr().err
    assert said.splitlines() == [f"error: no {SHOWN}", "in two lines", f"what to do: {SHOWN}"]
    assert visible("a\tb") == "a\\tb"


def test_a_page_shows_them_too(hostile: SurvivalReport) -> None:
    page = Page(hostile).render(NO_GALLERY, ()).decode()
    assert SHOWN in page
    assert set(UNPRINTABLE.findall(page)) <= {"\n", "\t"}


def test_reports_of_gates_are_xml_and_one_line_a_check() -> None:
    key = RowKey(HOSTILE, (HOSTILE,), HOSTILE, None)
    found = Finding("int8.success < 1", key, (HOSTILE,), (("int8.success", 2.0),), False)
    suite = ElementTree.fromstring(gates_as_junit([found]))
    assert SHOWN in suite[0].attrib["name"] and SHOWN in suite[0][0].attrib["message"]
    told = gates_as_markdown([found], [HOSTILE])
    assert SHOWN in told and set(UNPRINTABLE.findall(told)) == {"\n"}

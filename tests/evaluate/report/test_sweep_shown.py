"""Calibration matrices and attribution as the terminal, the page and CSV files show them."""

import csv
import io
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from segeval.evaluate.measure.report_records import SurvivalReport
from segeval.evaluate.report.gallery import Gallery
from segeval.evaluate.report.page import Page
from segeval.evaluate.report.report_csv import CsvLine, csv_bytes
from segeval.evaluate.report.sweep_csv import attribution_lines, calibration_lines
from segeval.evaluate.report.sweep_terminal import sweeps_in_terminal
from segeval.evaluate.report.wording import images_behind, points
from tests.evaluate.sweeps import ATTACKS, MODEL, attributions, calibration_matrices, estimate, second_device, swept

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

Shared = tuple["World", SurvivalReport]
EMPTY = Gallery((), 0, 64, 48, (), {})


@pytest.fixture
def report(shared: Shared) -> SurvivalReport:
    return swept(shared[1])


def test_two_devices_can_be_told_apart_by_who_reads(report: SurvivalReport) -> None:
    both = second_device(report, worse=0.1)
    titles = [str(table.title) for table in sweeps_in_terminal(both)]
    assert len(titles) == len(set(titles)) == 5
    page = Page(both).render(EMPTY, ()).decode()
    for mode in ("one block", "all blocks but one"):
        for replay in ("replay 1", "device-1"):
            assert f"<strong>{MODEL} on {replay}: {mode} in int8.</strong>" in page
    (matrix,) = calibration_matrices(both)
    names = ["int8", "int8@device-1", "int8-minmax", "int8-minmax@device-1"]
    assert [matrix.heading(column) for column in matrix.columns] == names
    assert all(f'<th scope="col">{name}<span' in page for name in names)
    (alone,) = calibration_matrices(report)
    assert [alone.heading(column) for column in alone.columns] == ["ships", "minmax"]


def test_a_number_stays_under_its_attack_where_the_first_is_missing(report: SurvivalReport) -> None:
    gone = (f"{MODEL}.int8-only-b", "fgsm-full")
    rows = tuple(row for row in report.survival if (row.engine, row.attack) != gone)
    only, _ = attributions(replace(report, survival=rows))
    first, last = only.blocks
    assert (first.block, last.block, last.effect) == ("a", "b", None)
    assert [effect and effect.loss for effect in last.effects] == [None, pytest.approx(0.14)]
    assert [key.attack for key in only.attacks] == list(ATTACKS)
    assert ["b", "–", "+14.0", "–", "+1.0", "1", "3"] in terminal(replace(report, survival=rows))
    lines = read(attribution_lines([only]))
    assert [line["attack"] for line in lines if line["block"] == "b"] == ["tanh-local"]


def test_a_report_without_sweeps_shows_none(shared: Shared) -> None:
    _, plain = shared
    assert (calibration_matrices(plain), attributions(plain)) == ((), ())
    assert csv_bytes(calibration_lines(())) == csv_bytes(attribution_lines(())) == b""
    assert list(sweeps_in_terminal(plain)) == []


def terminal(report: SurvivalReport) -> list[list[str]]:
    """Words of the lines of all tables."""
    console = Console(width=140, color_system=None, file=io.StringIO(), record=True)
    for table in sweeps_in_terminal(report):
        console.print(table)
    return [line.split() for line in console.export_text().splitlines()]


def read(lines: Iterable[CsvLine]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_bytes(lines).decode())))


def test_the_tables_can_be_computed_again_from_their_files(report: SurvivalReport) -> None:
    lines = read(calibration_lines(calibration_matrices(report)))
    assert [(line["attack"], line["calibration"], float(line["survival_mean"])) for line in lines] == [
        ("fgsm-full", "", 0.6),
        ("fgsm-full", "minmax", 0.2),
        ("tanh-local", "", 0.8),
        ("tanh-local", "minmax", 0.3),
    ]
    assert (lines[1]["percentile"], lines[1]["weights"], lines[1]["op_types"]) == ("", "per-channel", "Conv")
    assert float(lines[1]["clean_miou_drop"]) == pytest.approx(0.2)
    blocks = read(attribution_lines(attributions(report)))
    assert [(line["mode"], line["rank"], line["block"], line["attack"]) for line in blocks[:3]] == [
        ("only", "1", "b", "fgsm-full"),
        ("only", "1", "b", "tanh-local"),
        ("only", "2", "a", "fgsm-full"),
    ]
    assert float(blocks[0]["loss"]) == pytest.approx(0.3)
    assert {line["mode"] for line in blocks} == {"only", "without"}
    total = [line for line in blocks if not line["block"]]
    assert [(line["mode"], line["rank"], line["engine"]) for line in total] == [("only", "", f"{MODEL}.int8")] * 2
    assert [float(line["loss"]) for line in total] == [pytest.approx(0.40), pytest.approx(0.19)]


def test_images_are_those_behind_survival(report: SurvivalReport) -> None:
    """Not those of the row, of which some had nothing that could survive."""
    rows = tuple(
        replace(r, images=5, survival=replace(r.survival, images=3, left_out=2, low=0.1, high=0.95))
        for r in report.survival
    )
    fewer = replace(report, survival=rows)
    for shown in (calibration_lines(calibration_matrices(fewer)), attribution_lines(attributions(fewer))):
        lines = read(shown)
        assert {(line["images"], line["left_out"]) for line in lines} == {("3", "2")}
        assert {(line["survival_low"], line["survival_high"]) for line in lines} == {("0.1", "0.95")}
    told = terminal(fewer)
    assert ["int8-minmax", "0.40", "+20.0", "80", "20", "30", "3", "of", "5"] in told
    assert ["b", "+30.0", "+14.0", "+22.0", "+1.0", "1", "3", "of", "5"] in told
    assert ["70", "[10,", "95]", "85", "[10,", "95]"] in told
    page = Page(fewer).render(EMPTY, ()).decode()
    for name, cells in (("calibration", 2 * 2), ("attribution", 2 * (2 + 2 + 1))):
        part = page.partition(f'<section id="{name}"')[2].partition("</section>")[0]
        assert part.count('<span class="interval">n 3, 2 left out</span>') == cells


def test_the_page_shows_all_blocks_together_where_each_was_quantized_alone(report: SurvivalReport) -> None:
    part = Page(report).render(EMPTY, ()).decode().partition('<section id="attribution"')[2].partition("</section>")[0]
    only, without = part.split("</table>")[:2]
    assert only.index(">a</th>") < only.index('>all of them</th><td class="effect">+29.5</td>')
    assert "all of them" not in without
    assert "nothing in it is tested" in part


def test_the_terminal_tells_points_lost_and_what_they_cost(report: SurvivalReport) -> None:
    hostile = tuple(replace(row, attack=row.attack.replace("tanh", "[red]tanh[/]")) for row in report.survival)
    lines = terminal(replace(report, survival=hostile))
    assert ["int8-minmax", "0.40", "+20.0", "80", "20", "30", "3"] in lines
    assert ["b", "+30.0", "+14.0", "+22.0", "+1.0", "1", "3"] in lines
    assert ["all", "of", "them", "+40.0", "+19.0", "+29.5", "+2.0", "2", "3"] in lines
    assert ["b", "+30.0", "+16.0", "+23.0", "–", "–", "3"] in lines
    assert any("[red]tanh[/]-" in line for line in lines)
    assert sum("exploratory:" in line for line in lines) == 2


@pytest.mark.parametrize(
    ("share", "text"), [(None, "–"), (0.0, "0.0"), (-0.0001, "0.0"), (-0.1, "−10.0"), (1, "+100.0")]
)
def test_points(share: float | None, text: str) -> None:
    assert points(share) == text


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ((), "–"),
        (((3, 0), (3, 0)), "3"),
        (((2, 0), (3, 0)), "2–3"),
        (((2, 1), (3, 0)), "2–3 of 3"),
        (((2, 1),), "2 of 3"),
    ],
)
def test_images_behind_estimates(counts: tuple[tuple[int, int], ...], text: str) -> None:
    assert images_behind(replace(estimate(0.5), images=n, left_out=out) for n, out in counts) == text

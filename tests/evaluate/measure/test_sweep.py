"""Calibration matrices and attribution, computed from a report whose numbers are made up."""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from segeval.evaluate.measure import sweep
from segeval.evaluate.measure.report_records import (
    DESKTOP,
    CleanRow,
    EngineSummary,
    Estimate,
    SurvivalReport,
    SurvivalRow,
)
from segeval.evaluate.measure.report_rows import ReportRows
from segeval.evaluate.measure.sweep import Attribution, CalibrationMatrix
from segeval.evaluate.report.gallery import Gallery
from segeval.evaluate.report.page import Page
from segeval.evaluate.report.report_csv import CsvLine, csv_bytes
from segeval.evaluate.report.sweep_csv import attribution_lines, calibration_lines
from segeval.evaluate.report.sweep_terminal import sweeps_in_terminal
from segeval.evaluate.report.wording import images_behind, points
from segeval.files.engine_records import Calibration, CalibrationImage

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

Shared = tuple["World", SurvivalReport]
MODEL = "espnet-camvid"
FIRST = Calibration("percentile", 99.99, "train split", 0, (CalibrationImage("a", "0" * 64),), ("Conv",))
ATTACKS = ("fgsm-full", "tanh-local")
EMPTY = Gallery((), 0, 64, 48, (), {})
SURVIVAL = {
    "fp32": (1.0, 0.99),
    "int8": (0.60, 0.80),
    "int8-minmax": (0.20, 0.30),
    "int8-only-a": (0.95, 0.97),
    "int8-only-b": (0.70, 0.85),
    "int8-without-a": (0.66, 0.82),
    "int8-without-b": (0.90, 0.96),
}
"""Survival of each attack by engine."""
MIOU = {DESKTOP: 0.60, "fp32": 0.60, "int8": 0.58, "int8-minmax": 0.40, "int8-only-a": 0.595, "int8-only-b": 0.59}
CALIBRATIONS: Mapping[str, Calibration | None] = {
    "fp32": None,
    "int8": FIRST,
    "int8-minmax": replace(FIRST, method="minmax", percentile=None, name="minmax"),
    **{f"int8-only-{block}": replace(FIRST, name=f"only-{block}", only=(block,)) for block in "ab"},
    **{f"int8-without-{block}": replace(FIRST, name=f"without-{block}", without=(block,)) for block in "ab"},
}


def calibration_matrices(report: SurvivalReport) -> tuple[CalibrationMatrix, ...]:
    return sweep.calibration_matrices(ReportRows.of(report))


def attributions(report: SurvivalReport) -> tuple[Attribution, ...]:
    return sweep.attributions(ReportRows.of(report))


def estimate(mean: float | None) -> Estimate:
    return Estimate(mean, mean, mean, mean, mean, mean, 3, 0, "")


@pytest.fixture
def report(shared: Shared) -> SurvivalReport:
    """The report of seven engines of one network under two attacks."""
    _, plain = shared
    engine, row, clean = plain.engines[0], plain.survival[0], plain.clean[0]
    return replace(
        plain,
        engines=tuple(made(engine, name) for name in SURVIVAL),
        survival=tuple(survived(row, name, attack, at) for at, attack in enumerate(ATTACKS) for name in SURVIVAL),
        clean=tuple(cleaned(clean, name) for name in (DESKTOP, *SURVIVAL)),
    )


def made(engine: EngineSummary, name: str, replay: int = 0) -> EngineSummary:
    plain = f"{MODEL}.{name}"
    label = plain + (f"@device-{replay}" if replay else "")
    precision = "fp32" if name == "fp32" else "int8"
    calibration = CALIBRATIONS[name]
    return replace(engine, label=label, name=plain, precision=precision, calibration=calibration, replay=replay)


def survived(row: SurvivalRow, name: str, attack: str, at: int, label: str = "") -> SurvivalRow:
    calibration = CALIBRATIONS[name]
    return replace(
        row,
        attack=attack,
        task=None,
        engine=label or f"{MODEL}.{name}",
        precision="fp32" if name == "fp32" else "int8",
        survival=estimate(SURVIVAL[name][at]),
        variant=calibration.name if calibration else "",
    )


def cleaned(row: CleanRow, name: str) -> CleanRow:
    engine = name if name == DESKTOP else f"{MODEL}.{name}"
    miou = MIOU.get(name)
    return replace(row, engine=engine, precision="", miou=miou, equal=miou and 0.4 + miou)


def second_device(report: SurvivalReport, worse: float) -> SurvivalReport:
    """The report with every engine once more, of another replay. worse: how much less survives there, fp32 included."""
    engines = tuple(replace(e, label=f"{e.label}@device-1", replay=1) for e in report.engines)
    rows = tuple(
        replace(row, engine=f"{row.engine}@device-1", survival=estimate((row.survival.mean or 0.0) - worse))
        for row in report.survival
    )
    clean = tuple(replace(row, engine=f"{row.engine}@device-1") for row in report.clean if row.engine != DESKTOP)
    return replace(
        report,
        engines=report.engines + engines,
        survival=report.survival + rows,
        clean=report.clean + clean,
    )


def changed(report: SurvivalReport, name: str, attack: str, **fields: object) -> SurvivalReport:
    """The report with other fields in the row of an engine under an attack."""
    at = (f"{MODEL}.{name}", attack)
    rows = tuple(replace(r, **fields) if (r.engine, r.attack) == at else r for r in report.survival)  # type: ignore[arg-type]
    return replace(report, survival=rows)


def test_the_matrix_holds_whole_calibrations_and_what_they_cost(report: SurvivalReport) -> None:
    (matrix,) = calibration_matrices(report)
    assert [column.engine for column in matrix.columns] == [f"{MODEL}.int8", f"{MODEL}.int8-minmax"]
    assert [column.miou for column in matrix.columns] == [0.58, 0.40]
    assert [column.miou_drop for column in matrix.columns] == [pytest.approx(0.02), pytest.approx(0.2)]
    assert [row.key.attack for row in matrix.rows] == list(ATTACKS)
    survival = [[cell.survival.mean if cell else None for cell in row.cells] for row in matrix.rows]
    assert survival == [[0.60, 0.20], [0.80, 0.30]]


def test_what_ships_comes_first_and_what_was_not_shown_is_left_open(report: SurvivalReport) -> None:
    rows = tuple(row for row in report.survival if (row.attack, row.variant) != ("tanh-local", "minmax"))
    (matrix,) = calibration_matrices(replace(report, engines=report.engines[::-1], survival=rows))
    assert [column.calibration.name for column in matrix.columns] == ["", "minmax"]
    assert [cell is None for cell in matrix.rows[1].cells] == [False, True]


def test_one_calibration_on_two_devices_is_no_sweep(report: SurvivalReport, shared: Shared) -> None:
    engine = shared[1].engines[0]
    twice = (made(engine, "int8"), made(engine, "int8", replay=1))
    assert calibration_matrices(replace(report, engines=twice)) == ()
    assert calibration_matrices(replace(report, engines=(*twice, made(engine, "int8-minmax")))) != ()


def test_channels_are_no_calibrations(report: SurvivalReport) -> None:
    behind = replace(report.engines[1], label="x@jpeg-75", corruption="jpeg-75")
    noise = tuple(replace(row, corruption="jpeg-75", survival=estimate(0.0)) for row in report.survival)
    other = replace(report, engines=(*report.engines, behind), survival=(*report.survival, *noise))
    assert calibration_matrices(other) == calibration_matrices(report)
    assert attributions(other) == attributions(report)


def test_the_row_of_all_tasks_is_taken_where_there_are_several(report: SurvivalReport) -> None:
    single = tuple(replace(row, task="vehicle-to-road", survival=estimate(0.0)) for row in report.survival)
    assert calibration_matrices(replace(report, survival=single + report.survival)) == calibration_matrices(report)
    (matrix,) = calibration_matrices(replace(report, survival=single))
    assert matrix.rows[0].key.task == "vehicle-to-road"


def test_blocks_are_ranked_by_what_they_take_or_give_back(report: SurvivalReport) -> None:
    only, without = attributions(report)
    assert (only.mode, only.reference, only.whole) == ("only", f"{MODEL}.fp32", f"{MODEL}.int8")
    assert [block.block for block in only.blocks] == ["b", "a"]
    worst = only.blocks[0]
    assert [key.attack for key in only.attacks] == list(ATTACKS)
    assert [effect and effect.loss for effect in worst.effects] == [pytest.approx(0.30), pytest.approx(0.14)]
    assert [effect and effect.gain for effect in worst.effects] == [pytest.approx(0.10), pytest.approx(0.05)]
    assert worst.effect == pytest.approx(0.22)
    assert worst.miou_drop == worst.miou_gain == pytest.approx(0.01)
    assert worst.labels_changed == pytest.approx(0.01)
    assert [block.block for block in without.blocks] == ["b", "a"]
    assert without.blocks[0].effect == pytest.approx((0.30 + 0.16) / 2)
    assert without.blocks[0].miou_drop is None
    assert only.total is not None
    assert only.total.block == ""
    assert only.total.effect == pytest.approx((0.40 + 0.19) / 2)
    assert without.total is None


def test_without_an_fp32_engine_the_desktop_is_the_reference(report: SurvivalReport) -> None:
    only, _ = attributions(replace(report, engines=report.engines[1:]))
    assert only.reference == DESKTOP
    assert [effect and effect.loss for effect in only.blocks[0].effects] == [pytest.approx(0.30), pytest.approx(0.15)]


def test_without_a_whole_int8_engine_there_is_no_gain_and_no_total(report: SurvivalReport) -> None:
    only, without = attributions(replace(report, engines=tuple(e for e in report.engines if e.name[-4:] != "int8")))
    assert (only.whole, only.total) == ("", None)
    assert [block.effect for block in without.blocks] == [None, None]
    assert only.blocks[0].effect == pytest.approx(0.22)


def test_two_devices_are_ranked_apart_each_against_its_own_fp32(report: SurvivalReport) -> None:
    found = attributions(second_device(report, worse=0.1))
    assert [(each.mode, each.replay) for each in found] == [
        (mode, replay) for replay in ("replay 1", "device-1") for mode in ("only", "without")
    ]
    for here, there in zip(found[:2], found[2:], strict=True):
        assert (there.reference, there.whole) == (f"{MODEL}.fp32@device-1", f"{MODEL}.int8@device-1")
        assert [block.block for block in there.blocks] == [block.block for block in here.blocks]
        assert [block.effect for block in there.blocks] == [pytest.approx(block.effect) for block in here.blocks]
    assert {each.replay for each in attributions(report)} == {""}


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


def test_no_engine_behind_a_corruption_is_a_reference(report: SurvivalReport) -> None:
    """Nor is a whole int8 one; they stand before the others here, and show other numbers."""
    behind = tuple(
        replace(engine, label=f"{engine.label}+jpeg-75", corruption="jpeg-75") for engine in report.engines[:2]
    )
    labels = {engine.label for engine in report.engines[:2]}
    rows = tuple(
        replace(row, engine=f"{row.engine}+jpeg-75", corruption="jpeg-75", survival=estimate(0.5))
        for row in report.survival
        if row.engine in labels
    )
    other = replace(report, engines=behind + report.engines, survival=rows + report.survival)
    assert attributions(other) == attributions(report)
    without_fp32 = replace(other, engines=behind + report.engines[1:])
    assert {found.reference for found in attributions(without_fp32)} == {DESKTOP}


def test_attacks_for_other_networks_are_not_mixed_in(report: SurvivalReport) -> None:
    """An attack of the same name made for another network stays out; one made for both networks enters."""
    transferred = tuple(replace(row, victims=("fast-scnn",), survival=estimate(0.0)) for row in report.survival)
    mixed = replace(report, survival=transferred + report.survival)
    assert attributions(mixed) == attributions(report)
    assert calibration_matrices(mixed) == calibration_matrices(report)
    both = tuple(replace(row, victims=(MODEL, "fast-scnn")) for row in report.survival if row.attack == "fgsm-full")
    only, _ = attributions(replace(report, survival=report.survival + both))
    assert [key.victims for key in only.attacks] == [(MODEL,), (MODEL,), (MODEL, "fast-scnn")]


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


def test_an_attack_that_reached_nothing_is_not_ranked_by(report: SurvivalReport) -> None:
    rows = tuple(replace(r, survival=estimate(None)) if r.attack == "tanh-local" else r for r in report.survival)
    only, _ = attributions(replace(report, survival=rows))
    assert [key.attack for key in only.attacks] == ["fgsm-full"]
    assert only.blocks[0].effect == pytest.approx(0.30)


@pytest.mark.parametrize(
    "fields",
    [{"survival": replace(estimate(0.7), images=2)}, {"survival": replace(estimate(0.7), left_out=1)}, {"samples": 1}],
)
def test_nothing_is_subtracted_that_rests_on_other_images(report: SurvivalReport, fields: dict[str, object]) -> None:
    """Of the block and of the whole int8 engine; the other attack keeps its points, and there is no mean."""
    only, without = attributions(changed(report, "int8-only-b", "fgsm-full", **fields))
    block = next(block for block in only.blocks if block.block == "b")
    assert [(effect.loss, effect.gain) if effect else None for effect in block.effects] == [
        (None, None),
        (pytest.approx(0.14), pytest.approx(0.05)),
    ]
    assert block.effect is None and only.blocks[-1] is block
    assert all(block.effect is not None for block in without.blocks)
    _, without = attributions(changed(report, "int8", "fgsm-full", **fields))
    assert [block.effect for block in without.blocks] == [None, None]


def test_an_unfinished_engine_loses_nothing_against_the_desktop(report: SurvivalReport) -> None:
    short = changed(replace(report, engines=report.engines[1:]), "int8-only-b", "fgsm-full", missing=2)
    only, _ = attributions(short)
    assert [(block.block, block.effect is None) for block in only.blocks] == [("a", False), ("b", True)]


@pytest.mark.parametrize("fields", [{"images": 2}, {"labelled": 2}])
def test_miou_of_other_images_is_not_compared(report: SurvivalReport, fields: dict[str, int]) -> None:
    def without_images(engine: str) -> SurvivalReport:
        rows = tuple(replace(r, **fields) if r.engine == f"{MODEL}.{engine}" else r for r in report.clean)  # type: ignore[arg-type]
        return replace(report, clean=rows)

    (matrix,) = calibration_matrices(without_images("int8"))
    assert [column.miou_drop is None for column in matrix.columns] == [True, False]
    only, _ = attributions(without_images("int8"))
    assert {block.miou_gain for block in only.blocks} == {None}
    assert None not in {block.miou_drop for block in only.blocks}
    only, _ = attributions(without_images("fp32"))
    assert {block.miou_drop for block in only.blocks} == {None}


def test_a_block_without_survivable_success_comes_last(report: SurvivalReport) -> None:
    rows = tuple(replace(row, survival=estimate(None)) if row.variant == "only-b" else row for row in report.survival)
    only, _ = attributions(replace(report, survival=rows))
    assert [(block.block, block.effect is None) for block in only.blocks] == [("a", False), ("b", True)]


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

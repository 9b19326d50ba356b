"""Calibration matrices and attribution, computed from a report whose numbers are made up."""

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from segeval.bundles import Calibration, CalibrationImage
from segeval.evaluate.report_records import DESKTOP, CleanRow, EngineSummary, Estimate, SurvivalReport, SurvivalRow
from segeval.evaluate.sweep import attributions, calibration_matrices
from segeval.evaluate.sweep_tables import attribution_csv, calibrations_csv
from segeval.evaluate.sweep_terminal import points, sweeps_in_terminal

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

Shared = tuple["World", SurvivalReport]
MODEL = "espnet-camvid"
FIRST = Calibration("percentile", 99.99, "train split", 0, (CalibrationImage("a", "0" * 64),), ("Conv",))
ATTACKS = ("fgsm-full", "tanh-local")
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
    label = f"{MODEL}.{name}" + (f"@{replay}" if replay else "")
    precision = "fp32" if name == "fp32" else "int8"
    calibration = CALIBRATIONS[name]
    return replace(engine, label=label, name=label, precision=precision, calibration=calibration, replay=replay)


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


def test_the_matrix_holds_whole_calibrations_and_what_they_cost(report: SurvivalReport) -> None:
    (matrix,) = calibration_matrices(report)
    assert [column.engine for column in matrix.columns] == [f"{MODEL}.int8", f"{MODEL}.int8-minmax"]
    assert [column.miou for column in matrix.columns] == [0.58, 0.40]
    assert [column.miou_drop for column in matrix.columns] == [pytest.approx(0.02), pytest.approx(0.2)]
    assert [row.attack for row in matrix.rows] == list(ATTACKS)
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
    behind = replace(report.engines[1], label="x@jpeg-75", channel="jpeg-75")
    noise = tuple(replace(row, channel="jpeg-75", survival=estimate(0.0)) for row in report.survival)
    other = replace(report, engines=(*report.engines, behind), survival=(*report.survival, *noise))
    assert calibration_matrices(other) == calibration_matrices(report)
    assert attributions(other) == attributions(report)


def test_the_row_of_all_tasks_is_taken_where_there_are_several(report: SurvivalReport) -> None:
    single = tuple(replace(row, task="vehicle-to-road", survival=estimate(0.0)) for row in report.survival)
    assert calibration_matrices(replace(report, survival=single + report.survival)) == calibration_matrices(report)
    (matrix,) = calibration_matrices(replace(report, survival=single))
    assert matrix.rows[0].task == "vehicle-to-road"


def test_blocks_are_ranked_by_what_they_take_or_give_back(report: SurvivalReport) -> None:
    only, without = attributions(report)
    assert (only.mode, only.reference, only.whole) == ("only", f"{MODEL}.fp32", f"{MODEL}.int8")
    assert [block.block for block in only.blocks] == ["b", "a"]
    worst = only.blocks[0]
    assert [effect.loss for effect in worst.effects] == [pytest.approx(0.30), pytest.approx(0.14)]
    assert [effect.gain for effect in worst.effects] == [pytest.approx(0.10), pytest.approx(0.05)]
    assert worst.effect == pytest.approx(0.22)
    assert worst.miou_drop == worst.miou_gain == pytest.approx(0.01)
    assert worst.labels_changed == pytest.approx(0.01)
    assert [block.block for block in without.blocks] == ["b", "a"]
    assert without.blocks[0].effect == pytest.approx((0.30 + 0.16) / 2)
    assert without.blocks[0].miou_drop is None
    assert only.total is not None
    assert only.total.block == ""
    assert only.total.effect == pytest.approx((0.40 + 0.19) / 2)


def test_without_an_fp32_engine_the_desktop_is_the_reference(report: SurvivalReport) -> None:
    only, _ = attributions(replace(report, engines=report.engines[1:]))
    assert only.reference == DESKTOP
    assert [effect.loss for effect in only.blocks[0].effects] == [pytest.approx(0.30), pytest.approx(0.15)]


def test_without_a_whole_int8_engine_there_is_no_gain_and_no_total(report: SurvivalReport) -> None:
    only, without = attributions(replace(report, engines=tuple(e for e in report.engines if e.name[-4:] != "int8")))
    assert (only.whole, only.total) == ("", None)
    assert [block.effect for block in without.blocks] == [None, None]
    assert only.blocks[0].effect == pytest.approx(0.22)


def test_two_devices_are_ranked_apart(report: SurvivalReport, shared: Shared) -> None:
    engine = shared[1].engines[0]
    second = tuple(made(engine, name, replay=1) for name in SURVIVAL if name.startswith("int8-only"))
    assert [len(found.blocks) for found in attributions(replace(report, engines=report.engines + second))] == [2, 2, 2]


def test_a_block_without_survivable_success_comes_last(report: SurvivalReport) -> None:
    rows = tuple(replace(row, survival=estimate(None)) if row.variant == "only-b" else row for row in report.survival)
    only, _ = attributions(replace(report, survival=rows))
    assert [(block.block, block.effect is None) for block in only.blocks] == [("a", False), ("b", True)]


def test_a_report_without_sweeps_shows_none(shared: Shared) -> None:
    _, plain = shared
    assert (calibration_matrices(plain), attributions(plain)) == ((), ())
    assert (calibrations_csv(()), attribution_csv(())) == (b"", b"")
    assert list(sweeps_in_terminal(plain)) == []


def read(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode())))


def test_the_tables_can_be_computed_again_from_their_files(report: SurvivalReport) -> None:
    lines = read(calibrations_csv(calibration_matrices(report)))
    assert [(line["attack"], line["calibration"], float(line["survival_mean"])) for line in lines] == [
        ("fgsm-full", "", 0.6),
        ("fgsm-full", "minmax", 0.2),
        ("tanh-local", "", 0.8),
        ("tanh-local", "minmax", 0.3),
    ]
    assert (lines[1]["percentile"], lines[1]["weights"], lines[1]["op_types"]) == ("", "per-channel", "Conv")
    assert float(lines[1]["clean_miou_drop"]) == pytest.approx(0.2)
    blocks = read(attribution_csv(attributions(report)))
    assert [(line["mode"], line["rank"], line["block"], line["attack"]) for line in blocks[:3]] == [
        ("only", "1", "b", "fgsm-full"),
        ("only", "1", "b", "tanh-local"),
        ("only", "2", "a", "fgsm-full"),
    ]
    assert float(blocks[0]["loss"]) == pytest.approx(0.3)
    assert {line["mode"] for line in blocks} == {"only", "without"}


def test_the_terminal_tells_points_lost_and_what_they_cost(report: SurvivalReport) -> None:
    console = Console(width=110, color_system=None, file=io.StringIO(), record=True)
    hostile = tuple(replace(row, attack=row.attack.replace("tanh", "[red]tanh[/]")) for row in report.survival)
    for table in sweeps_in_terminal(replace(report, survival=hostile)):
        console.print(table)
    lines = [line.split() for line in console.export_text().splitlines()]
    assert ["int8-minmax", "0.40", "20.0", "80", "20", "30"] in lines
    assert ["b", "30.0", "14.0", "22.0", "1.0", "1"] in lines
    assert ["all", "of", "them", "40.0", "19.0", "29.5", "2.0", "2"] in lines
    assert ["b", "30.0", "16.0", "23.0", "–", "–"] in lines
    assert any("[red]tanh[/]-local" in line for line in lines)


@pytest.mark.parametrize(
    ("share", "text"), [(None, "–"), (0.0, "0.0"), (-0.0001, "0.0"), (-0.1, "-10.0"), (1, "100.0")]
)
def test_points(share: float | None, text: str) -> None:
    assert points(share) == text

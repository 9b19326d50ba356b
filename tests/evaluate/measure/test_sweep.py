"""Calibration matrices and attribution, computed from a report whose numbers are made up."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from segeval.evaluate.measure.report_records import DESKTOP, SurvivalReport
from tests.evaluate.sweeps import (
    ATTACKS,
    MODEL,
    attributions,
    calibration_matrices,
    changed,
    estimate,
    made,
    second_device,
    swept,
)

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

Shared = tuple["World", SurvivalReport]


@pytest.fixture
def report(shared: Shared) -> SurvivalReport:
    return swept(shared[1])


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

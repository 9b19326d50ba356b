"""Calibration matrices and the ranking of blocks for a terminal."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from segeval.plain_table import as_shown, plain_table

from ..measure.decisive import told_survival
from ..measure.estimate_records import Estimate
from ..measure.report_records import SurvivalReport
from ..measure.report_rows import ReportRows
from ..measure.row_key import within_model
from ..measure.sweep import Attribution, BlockEffect, BlockRow, CalibrationMatrix, attributions, calibration_matrices
from .wording import BEHIND, attack_name, decimals, images_behind, percent, points, stacked

MATRIX_CAPTION = (
    "Percent of the pixels hit on the desktop that are also hit on the engine, means over images. mIoU and labels as "
    "on the desktop: on clean images; mIoU lost: in points. A calibration hardens the network against these attacks if "
    "success on the engine minus that of the clean image falls (calibrations.csv) and mIoU does not; if both fall, it "
    f"damages the network. Survival does not tell, because it omits newly hit pixels. {BEHIND}"
)
EXPLORATORY = (
    "Below: what survives, in percent, with its 95 % interval. Points are differences of two means and the ranking is "
    f"exploratory: nothing in it is tested. {BEHIND}"
)
ONLY_CAPTION = (
    "Points of survival that quantizing this block alone takes away, the rest being fp32, and what that costs in "
    "points of clean mIoU. Blocks act on each other: their losses need not add up to that of all together. "
    f"{EXPLORATORY}"
)
WITHOUT_CAPTION = (
    "Points of survival that come back when this block alone stays fp32, the rest being int8, and the points of clean "
    f"mIoU that come back with them. {EXPLORATORY}"
)


def sweeps_in_terminal(report: SurvivalReport) -> Iterator[Table]:
    """Per model a table of its calibrations and one of its blocks per mode and replay, where they were replayed."""
    rows = ReportRows.of(report)
    yield from map(matrix_table, calibration_matrices(rows))
    yield from map(ranking_table, attributions(rows))


def matrix_table(matrix: CalibrationMatrix) -> Table:
    """A line per calibration, a column per attack."""
    attacks = [stacked(attack_name(row.key)) for row in matrix.rows]
    headings = ("mIoU", "mIoU lost", "as desktop %", *attacks, "n")
    table = _table(f"Survival by calibration on {matrix.model}, %", MATRIX_CAPTION, "calibration", headings)
    for place, column in enumerate(matrix.columns):
        cells = [row.cells[place] for row in matrix.rows]
        survived = [percent(None if cell is None else told_survival(cell).mean) for cell in cells]
        images = images_behind(cell.survival for cell in cells if cell is not None)
        clean = (decimals(column.miou), points(column.miou_drop), percent(column.equal))
        engine = within_model(column.engine, matrix.model)
        table.add_row(*map(as_shown, (engine, *clean, *survived, images)))
    return table


def ranking_table(attribution: Attribution) -> Table:
    """A line per block, the one with the largest effect first; by mode ``only`` at last all of them together."""
    only = attribution.mode == "only"
    what = "quantized alone" if only else "left in fp32"
    where = f" ({attribution.replay})" if attribution.replay else ""
    title = f"What each block of {attribution.model} does to survival, {what}{where}"
    attacks = [stacked(attack_name(key)) for key in attribution.attacks]
    headings = (*attacks, "mean", "mIoU", "labels changed %", "n")
    table = _table(title, ONLY_CAPTION if only else WITHOUT_CAPTION, "block", headings)
    for block in attribution.blocks:
        table.add_row(as_shown(block.block), *map(Text, _numbers(block, only)))
    if attribution.total is not None:
        table.add_section()
        table.add_row("all of them", *map(Text, _numbers(attribution.total, only)))
    return table


def _numbers(block: BlockRow, only: bool) -> tuple[str, ...]:
    effects = (_effect(effect, only) for effect in block.effects)
    cost = points(block.miou_drop if only else block.miou_gain)
    images = images_behind(effect.survival for effect in block.effects if effect is not None)
    return (*effects, points(block.effect), cost, percent(block.labels_changed), images)


def _effect(effect: BlockEffect | None, only: bool) -> str:
    """Points, and below them survival itself: ``+30.0``, ``70 [62, 78]``."""
    if effect is None:
        return "–"
    return f"{points(effect.loss if only else effect.gain)}\n{_survival(effect.survival)}"


def _survival(estimate: Estimate) -> str:
    brackets = "" if estimate.low is None else f" [{percent(estimate.low)}, {percent(estimate.high)}]"
    return f"{percent(estimate.mean)}{brackets}"


def _table(title: str, caption: str, first: str, headings: tuple[str, ...]) -> Table:
    table = plain_table(title, caption)
    table.add_column(first, overflow="fold")
    for heading in headings:
        table.add_column(Text(heading), justify="right", no_wrap=heading == "n")
    return table

"""Calibration matrices and the ranking of blocks for a terminal."""

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from segeval.evaluate.report_records import SurvivalReport
from segeval.evaluate.sweep import (
    Attribution,
    BlockEffect,
    BlockRow,
    CalibrationMatrix,
    MatrixRow,
    attributions,
    calibration_matrices,
)
from segeval.evaluate.wording import decimals, percent

MATRIX_CAPTION = (
    "Percent that survived of what an attack achieved on the desktop, means over images. mIoU and labels as on the "
    "desktop: on clean images. Where survival falls and mIoU does not, the calibration hardens the network against "
    "these attacks; where both fall, it breaks it."
)
ONLY_CAPTION = (
    "Points of survival that quantizing this block alone takes away, the rest being fp32, and what that costs in "
    "points of clean mIoU. Blocks act on each other: their losses need not add up to that of all together."
)
WITHOUT_CAPTION = (
    "Points of survival that come back when this block alone stays fp32, the rest being int8, and the points of clean "
    "mIoU that come back with them."
)


def sweeps_in_terminal(report: SurvivalReport) -> Iterator[Table]:
    """Per model a table of its calibrations and one of its blocks per mode, where they were replayed."""
    yield from map(matrix_table, calibration_matrices(report))
    yield from map(ranking_table, attributions(report))


def matrix_table(matrix: CalibrationMatrix) -> Table:
    """A line per calibration, a column per attack."""
    table = _table(f"Survival by calibration on {matrix.model}, %", MATRIX_CAPTION, "calibration")
    for heading in ("mIoU", "drop", "as desktop %", *(_heading(row, matrix.model) for row in matrix.rows)):
        table.add_column(Text(heading), justify="right")
    for place, column in enumerate(matrix.columns):
        cells = [row.cells[place] for row in matrix.rows]
        survived = [percent(None if cell is None else cell.survival.mean) for cell in cells]
        clean = (decimals(column.miou), points(column.miou_drop), percent(column.equal))
        table.add_row(*map(Text, (column.engine.removeprefix(f"{matrix.model}."), *clean, *survived)))
    return table


def ranking_table(attribution: Attribution) -> Table:
    """A line per block, the one with the largest effect first; at last all of them together."""
    only = attribution.mode == "only"
    what = "quantized alone" if only else "left in fp32"
    title = f"What each block of {attribution.model} does to survival, {what}"
    table = _table(title, ONLY_CAPTION if only else WITHOUT_CAPTION, "block")
    effects = attribution.blocks[0].effects
    headings = (*(_heading(effect, attribution.model) for effect in effects), "mean", "mIoU", "labels changed %")
    for heading in headings:
        table.add_column(Text(heading), justify="right")
    for block in attribution.blocks:
        table.add_row(*map(Text, (block.block, *_effects(block, only), points(block.effect), *_cost(block, only))))
    if attribution.total is not None and only:
        total = attribution.total
        table.add_section()
        table.add_row(*map(Text, ("all of them", *_effects(total, only), points(total.effect), *_cost(total, only))))
    return table


def _effects(block: BlockRow, only: bool) -> list[str]:
    return [points(effect.loss if only else effect.gain) for effect in block.effects]


def _cost(block: BlockRow, only: bool) -> tuple[str, str]:
    return points(block.miou_drop if only else block.miou_gain), percent(block.labels_changed)


def _table(title: str, caption: str, first: str) -> Table:
    table = Table(title=Text(title), caption=caption, title_justify="left", caption_justify="left", box=SIMPLE_HEAD)
    table.pad_edge, table.collapse_padding = False, True
    table.add_column(first, overflow="fold")
    return table


def _heading(row: MatrixRow | BlockEffect, model: str) -> str:
    return row.attack + (f" made for {'+'.join(row.victims)}" if row.victims != (model,) else "")


def points(share: float | None) -> str:
    """A difference of shares in percentage points, with one decimal; a dash for None."""
    return "–" if share is None else f"{100 * share:.1f}".replace("-0.0", "0.0")

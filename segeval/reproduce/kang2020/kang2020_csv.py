"""The CSV files of a report, with the same numbers as in kang2020.json."""

from collections.abc import Iterable

from segeval.evaluate.measure.report_records import Curve
from segeval.evaluate.report.report_csv import CsvLine, csv_bytes, flat, joined
from segeval.reproduce.kang2020.kang2020_records import BudgetPoint, Cell, GradientShare, Kang2020Report

MEAN = ("", "_low", "_high")
ESTIMATE = (*MEAN, "_pooled", "_images", "_left_out")
"""Endings of the columns of a mean, and of an estimate."""


def picked(record: object, columns: Iterable[str]) -> CsvLine:
    """Some fields of a record as cells; the mean of an estimate has the estimate's name."""
    cells = flat(record)
    return {column: cells.get(f"{column}_mean", cells.get(column)) for column in columns}


def spread(names: Iterable[str], endings: Iterable[str]) -> tuple[str, ...]:
    """The columns of several numbers."""
    return tuple(f"{name}{ending}" for name in names for ending in endings)


TABLE1 = (
    *("scope", "method", "attack", "victims", "model", "task", "images", "samples", "skipped"),
    *spread(("accuracy", "ratio", "success", "control", "clean_accuracy", "clean_ratio"), ESTIMATE),
    *spread(("mean", "mean_phi", "l2"), ESTIMATE),
    *("linf", "paper_accuracy", "paper_ratio", "paper_success", "paper_perturbation"),
    *("paper_misprint", "paper_same_victims"),
)
TRANSFER = spread(("success", "control", "accuracy", "clean_accuracy"), ESTIMATE)
BUDGETS = (
    *("model", "scope", "method", "set", "attack", "quantity", "limit", "images"),
    *("success", "success_low", "success_high", "success_pooled", "change", "change_low", "change_high", "linf"),
)


def table1_row(cell: Cell) -> CsvLine:
    """One cell of Table 1; the paper's figures are empty where it has none."""
    return picked(cell, TABLE1) | {"paper_misprint": bool(cell.paper and cell.paper.misprint)}


def transfer_row(cell: Cell) -> CsvLine:
    """One attack on one model it was shown to."""
    where = picked(cell, ("attack", "scope", "victims", "model"))
    return where | {"is_victim": cell.own} | picked(cell, TRANSFER)


def curve_rows(curve: Curve) -> list[CsvLine]:
    """A curve, step by step; its model is * for the mean over the victims."""
    key: CsvLine = {"model": curve.model, "victims": joined(curve.victims), "attack": curve.attack}
    return [key | flat(point) for point in curve.points]


def budget_row(point: BudgetPoint) -> CsvLine:
    """A measured point."""
    return picked(point, BUDGETS)


def gradient_row(share: GradientShare) -> CsvLine:
    """The means of one model."""
    found = picked(share, ("model", "steps", "images", *spread(("energy_in_phi", "phi_share"), MEAN)))
    return found | {"images": share.energy_in_phi.images}


def tables(report: Kang2020Report) -> dict[str, bytes]:
    """The tables of a report by name; empty where a part was not made."""
    together = [cell for cell in report.cells if cell.task is None]
    rows: dict[str, Iterable[CsvLine]] = {
        "table1": (table1_row(cell) for cell in together if cell.own),
        "table1-tasks": (table1_row(cell) for cell in report.cells if cell.task is not None),
        "claims": map(flat, report.claims),
        "transfer": map(transfer_row, together),
        "curves": (row for curve in report.curves for row in curve_rows(curve)),
        "budgets": map(budget_row, report.budgets),
        "budgets-interpolated": map(flat, report.interpolated),
        "gradients": map(gradient_row, report.gradients),
        "gradients-images": map(flat, report.gradient_images),
    }
    return {f"{name}.csv": csv_bytes(each) for name, each in rows.items()}

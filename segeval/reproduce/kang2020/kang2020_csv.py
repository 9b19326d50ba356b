"""The CSV files of a report: one line per number's row, the same numbers as in kang2020.json."""

from collections.abc import Iterable, Sequence

from segeval.evaluate.measure.report_records import Estimate
from segeval.evaluate.report.report_csv import ALL_TASKS, Cell, csv_bytes, flat
from segeval.reproduce.kang2020 import kang2020_records
from segeval.reproduce.kang2020.kang2020_records import (
    BudgetRow,
    Claim,
    ClassShare,
    GradientImage,
    GradientShare,
    Mean,
    ScaledMap,
    StepRow,
)

SHOWN = ("accuracy", "ratio", "success", "perturbation")


def estimate_cells(name: str, estimate: Estimate) -> dict[str, Cell]:
    """Mean, interval, pooled value and numbers of images."""
    return {
        name: estimate.mean,
        f"{name}_low": estimate.low,
        f"{name}_high": estimate.high,
        f"{name}_pooled": estimate.pooled,
        f"{name}_images": estimate.images,
        f"{name}_left_out": estimate.left_out,
    }


def cell_row(cell: kang2020_records.Cell) -> dict[str, Cell]:
    """One cell of Table 1; the paper's figures are empty where it has none."""
    row: dict[str, Cell] = {
        "scope": cell.scope,
        "method": cell.method,
        "attack": cell.attack,
        "victims": "+".join(cell.victims),
        "model": cell.model,
        "task": ALL_TASKS if cell.task is None else cell.task,
        "images": cell.images,
        "samples": cell.samples,
        "skipped": cell.skipped,
    }
    for name in ("accuracy", "ratio", "success", "control", "clean_accuracy", "clean_ratio", "mean", "mean_phi", "l2"):
        row |= estimate_cells(name, getattr(cell, name))
    row["linf"] = cell.linf
    for name in SHOWN:
        row[f"paper_{name}"] = None if cell.paper is None else getattr(cell.paper, name)
    row["paper_misprint"] = bool(cell.paper and cell.paper.misprint)
    row["paper_same_victims"] = None if cell.paper is None else cell.paper.same_victims
    return row


def table1_csv(cells: Iterable[kang2020_records.Cell]) -> bytes:
    """Table 1: all tasks together, on the victims."""
    return csv_bytes(cell_row(cell) for cell in cells if cell.task is None and cell.model in cell.victims)


def tasks_csv(cells: Iterable[kang2020_records.Cell]) -> bytes:
    """The same for every task by itself."""
    return csv_bytes(cell_row(cell) for cell in cells if cell.task is not None)


def transfer_csv(cells: Iterable[kang2020_records.Cell]) -> bytes:
    """Every image on every model it was shown to, all tasks together."""
    return csv_bytes(
        {
            "attack": cell.attack,
            "scope": cell.scope,
            "victims": "+".join(cell.victims),
            "model": cell.model,
            "is_victim": cell.model in cell.victims,
            **estimate_cells("success", cell.success),
            **estimate_cells("control", cell.control),
            **estimate_cells("accuracy", cell.accuracy),
            **estimate_cells("clean_accuracy", cell.clean_accuracy),
        }
        for cell in cells
        if cell.task is None
    )


def claims_csv(claims: Iterable[Claim]) -> bytes:
    """One line per comparison."""
    return csv_bytes(map(flat, claims))


def interpolated_csv(rows: Iterable[BudgetRow]) -> bytes:
    """Success by size of the perturbation."""
    return csv_bytes(map(flat, rows))


def mean_cells(name: str, mean: Mean) -> dict[str, Cell]:
    """A mean with its interval."""
    return {name: mean.mean, f"{name}_low": mean.low, f"{name}_high": mean.high}


def gradients_csv(shares: Iterable[GradientShare]) -> bytes:
    """One line per model."""
    return csv_bytes(
        {
            "model": share.model,
            "steps": "+".join(map(str, share.steps)),
            "images": share.energy_in_phi.images,
            **mean_cells("energy_in_phi", share.energy_in_phi),
            **mean_cells("phi_share", share.phi_share),
        }
        for share in shares
    )


def rows_csv(rows: Sequence[ClassShare | ScaledMap | StepRow | GradientImage]) -> bytes:
    """Plain records, one a line."""
    return csv_bytes(map(flat, rows))

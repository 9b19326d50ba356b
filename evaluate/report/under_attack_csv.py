"""attacked.csv: accuracy and mIoU under attack, beside those of the clean images."""

from collections.abc import Iterable, Sequence

from ..measure.estimate_records import Estimate
from ..measure.under_attack_records import AttackedRow, Scores
from .report_csv import Cell, attack_cells, csv_bytes, joined


def attacked_csv(rows: Iterable[AttackedRow], classes: Sequence[str]) -> bytes:
    """One line per row; empty if there is none.

    Args:
        rows: of a report.
        classes: names, in the order of the table.
    """
    return csv_bytes(_cells(row, classes) for row in rows)


def _cells(row: AttackedRow, classes: Sequence[str]) -> dict[str, Cell]:
    return {
        "model": row.model,
        **attack_cells(row.key),
        "engine": row.engine,
        "precision": row.precision,
        "scope": row.scope,
        "attacks": joined(row.attacks),
        "chosen": joined(row.chosen),
        "budget": row.budget,
        "variant": row.variant,
        "corruption": row.corruption,
        "own": row.own,
        "images": row.images,
        "missing": row.missing,
        **_interval("success", row.success),
        "against": row.against,
        **_scores("clean", row.clean),
        **_scores("attacked", row.attacked),
        **_per_class("clean", row.clean, classes),
        **_per_class("attacked", row.attacked, classes),
    }


def _interval(name: str, estimate: Estimate) -> dict[str, Cell]:
    return {f"{name}_{part}": getattr(estimate, part) for part in ("mean", "low", "high")}


def _scores(name: str, scores: Scores) -> dict[str, Cell]:
    numbers = {f"{name}_{part}": getattr(scores, part) for part in ("pixel_accuracy", "miou", "cmiou")}
    return {**numbers, **_interval(f"{name}_nmiou", scores.nmiou)}


def _per_class(name: str, scores: Scores, classes: Sequence[str]) -> dict[str, Cell]:
    return {f"{name}_iou_{label}": iou for label, iou in zip(classes, scores.class_iou, strict=True)}

"""attacked.csv: accuracy and mIoU under attack, beside those of the clean images."""

from collections.abc import Iterable, Iterator, Sequence

from ..measure.under_attack_records import AttackedRow, Scores
from .report_csv import CsvLine, attack_cells, joined, share_cells


def attacked_lines(rows: Iterable[AttackedRow], classes: Sequence[str]) -> Iterator[CsvLine]:
    """One per row.

    Args:
        rows: of a report.
        classes: names, in the order of the table.
    """
    for row in rows:
        yield _cells(row, classes)


def _cells(row: AttackedRow, classes: Sequence[str]) -> CsvLine:
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
        **share_cells("success", row.success),
        "against": row.against,
        **_scores("clean", row.clean),
        **_scores("attacked", row.attacked),
        **_per_class("clean", row.clean, classes),
        **_per_class("attacked", row.attacked, classes),
    }


def _scores(name: str, scores: Scores) -> CsvLine:
    numbers: CsvLine = {f"{name}_{part}": getattr(scores, part) for part in ("pixel_accuracy", "miou", "cmiou")}
    return {**numbers, **share_cells(f"{name}_nmiou", scores.nmiou)}


def _per_class(name: str, scores: Scores, classes: Sequence[str]) -> CsvLine:
    return {f"{name}_iou_{label}": iou for label, iou in zip(classes, scores.class_iou, strict=True)}

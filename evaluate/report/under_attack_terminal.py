"""Accuracy and mIoU under attack for a terminal."""

from collections.abc import Iterator

from rich.table import Table

from ..measure.report_records import SurvivalReport
from ..measure.under_attack_reading import shown_rows
from ..measure.under_attack_records import AttackedRow
from .attack_tables import attack_tables
from .under_attack_wording import compared_with, row_name
from .wording import decimals, task_named

CAPTION = (
    "Whole images, clean → under attack, from one confusion matrix over all images. NmIoU: mean over images of each "
    "image's mIoU. worst: the attack with the most success on each image, of those with the same scope and budget. "
    "Classes are in attacked.csv."
)
NUMBERS = ("success", "pixel accuracy", "mIoU", "NmIoU", "n")


def under_attack_in_terminal(report: SurvivalReport) -> Iterator[Table]:
    """Per network a line per attack and engine, the worst of several attacks first; nothing in an earlier report."""
    rows = shown_rows(report.attacked)

    def cells(row: AttackedRow) -> tuple[str, ...]:
        pairs = (
            (row.clean.pixel_accuracy, row.attacked.pixel_accuracy),
            (row.clean.miou, row.attacked.miou),
            (row.clean.nmiou.mean, row.attacked.nmiou.mean),
        )
        changes = (f"{decimals(clean)} → {decimals(attacked)}" for clean, attacked in pairs)
        return (task_named(row_name(row), row, report), decimals(row.success.mean), *changes, str(row.images))

    return attack_tables(
        rows,
        lambda model: f"What {model} sees under attack",
        f"{compared_with(rows)} {CAPTION}",
        NUMBERS,
        cells,
    )

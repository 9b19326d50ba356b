"""Accuracy and mIoU under attack for a terminal."""

from collections.abc import Iterator

from rich.table import Table

from ..measure.report_records import DESKTOP, SurvivalReport
from ..measure.under_attack_reading import shown_rows
from ..measure.under_attack_records import AttackedRow
from .plain_table import as_shown, plain_table
from .under_attack_wording import compared_with, row_name
from .wording import decimals

CAPTION = (
    "Of the whole image, from one confusion matrix over all images, on the clean images → under attack. NmIoU: mean "
    "over images of each one's mIoU. worst: the attack with the most success on each image, of those with the same "
    "scope and budget. Classes are in attacked.csv."
)
NUMBERS = ("success", "pixel accuracy", "mIoU", "NmIoU", "n")


def under_attack_in_terminal(report: SurvivalReport) -> Iterator[Table]:
    """One line per attack and engine, and before them the worst of several attacks; nothing in an earlier report."""
    rows = shown_rows(report.attacked)
    if not rows:
        return
    models = list(dict.fromkeys(row.model for row in rows))
    caption = f"{compared_with(rows)} {CAPTION}"
    table = plain_table(f"What {', '.join(models)} see{'s' if len(models) == 1 else ''} under attack", caption)
    for heading in ("attack", "engine"):
        table.add_column(heading, overflow="fold")
    for heading in NUMBERS:
        table.add_column(heading, justify="right", no_wrap=True)
    before = None
    for row in rows:
        group = row.key.over_engines()
        if before and group != before:
            table.add_section()
        attack = _attack(row, report) if group != before else ""
        table.add_row(*map(as_shown, (attack, _engine(row, len(models) > 1), *_numbers(row))))
        before = group
    yield table


def _attack(row: AttackedRow, report: SurvivalReport) -> str:
    several_tasks = row.task is not None and len(report.set.tasks) > 1
    return row_name(row) + (f" {row.task}" if several_tasks else "")


def _engine(row: AttackedRow, several_models: bool) -> str:
    if row.engine == DESKTOP:
        return f"{row.model}, {DESKTOP}" if several_models else DESKTOP
    return row.engine if several_models else row.engine.removeprefix(f"{row.model}.")


def _numbers(row: AttackedRow) -> tuple[str, ...]:
    pairs = (
        (row.clean.pixel_accuracy, row.attacked.pixel_accuracy),
        (row.clean.miou, row.attacked.miou),
        (row.clean.nmiou.mean, row.attacked.nmiou.mean),
    )
    changes = (f"{decimals(clean)} → {decimals(attacked)}" for clean, attacked in pairs)
    return (decimals(row.success.mean), *changes, str(row.images))

"""Which rows of accuracy and mIoU under attack an answer is read off."""

from collections.abc import Collection, Iterable

from segeval.precision import coarsest

from .report_records import DESKTOP
from .under_attack_records import AttackedRow


def shown_rows(rows: Iterable[AttackedRow]) -> tuple[AttackedRow, ...]:
    """Rows on the desktop and on engines as they ship, of all tasks together or of the only task, in order."""
    shipping = [row for row in rows if row.ships]
    return tuple(row for row in shipping if row.task is None) or tuple(shipping)


def leading(rows: Iterable[AttackedRow], on_files: Collection[str]) -> AttackedRow | None:
    """The worst case that a report begins with: the one with the most success, on an engine of the coarsest precision.

    Of attacks that were made for the model, on its network; None where no two of them can be compared.

    Args:
        rows: of a report.
        on_files: labels of the attacks that were made on deployed files.
    """
    own = [row for row in shown_rows(rows) if row.is_worst and row.key.own and row.engine != DESKTOP]
    own = [row for row in own if not set(on_files).intersection(row.attacks)]
    if not own:
        return None
    last = coarsest({row.precision for row in own})
    return max((row for row in own if row.precision == last), key=lambda row: row.success.mean or 0.0)

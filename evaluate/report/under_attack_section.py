"""The section of the page on accuracy and mIoU under attack. Only of the desktop and of engines as they ship."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..measure.decisive import SAME
from ..measure.report_records import DESKTOP, SurvivalReport
from ..measure.row_key import RowKey, within_model
from ..measure.under_attack_reading import shown_rows
from ..measure.under_attack_records import AttackedRow
from .overview import FINE
from .under_attack_wording import compared_with, row_name


@dataclass(frozen=True)
class AttackedGroup:
    """One attack, or the worst of several, on the desktop and on every engine.

    Attributes:
        attacks: that a worst case is of; else empty.
    """

    title: str
    attacks: tuple[str, ...]
    task: str | None
    rows: tuple[AttackedRow, ...]

    @property
    def same(self) -> tuple[str, ...]:
        """The fp32 and fp16 engines that show what the desktop shows, to within half a percent, without the model."""
        desktop = next((row for row in self.rows if row.engine == DESKTOP), None)
        found = [row for row in self.rows if desktop and row.precision in FINE and row is not desktop]
        return tuple(within_model(row.engine, row.model) for row in found if desktop and alike(row, desktop))

    @property
    def changed(self) -> tuple[AttackedRow, ...]:
        """The rows of the desktop and of all other engines."""
        return tuple(row for row in self.rows if within_model(row.engine, row.model) not in self.same)


def alike(row: AttackedRow, desktop: AttackedRow) -> bool:
    """Whether success, accuracy and mIoU are those of the desktop to within half a percent, on the same images."""
    if (row.missing, row.images) != (desktop.missing, desktop.images):
        return False
    pairs = [(row.success.mean, desktop.success.mean)]
    for one, other in ((row.attacked, desktop.attacked), (row.clean, desktop.clean)):
        pairs += [
            (one.pixel_accuracy, other.pixel_accuracy),
            (one.miou, other.miou),
            (one.nmiou.mean, other.nmiou.mean),
        ]
    return all(abs((one or 0.0) - (other or 0.0)) <= SAME for one, other in pairs)


@dataclass(frozen=True)
class AttackedTable:
    """The table of one model."""

    model: str
    groups: tuple[AttackedGroup, ...]


@dataclass(frozen=True)
class UnderAttackSection:
    """What the template needs. against: what the labels were compared with, in a sentence."""

    against: str
    desktop: str
    tables: tuple[AttackedTable, ...]


def under_attack_section(report: SurvivalReport) -> UnderAttackSection | None:
    """The section; None for a report of an earlier version, which has no such rows."""
    rows = shown_rows(report.attacked)
    if not rows:
        return None
    tables = tuple(
        AttackedTable(model, groups_of(row for row in rows if row.model == model))
        for model in dict.fromkeys(row.model for row in rows)
    )
    return UnderAttackSection(compared_with(rows), DESKTOP, tables)


def groups_of(rows: Iterable[AttackedRow]) -> tuple[AttackedGroup, ...]:
    """Rows that differ in their engine only, together."""
    groups: dict[RowKey, list[AttackedRow]] = {}
    for row in rows:
        groups.setdefault(row.key.over_engines(), []).append(row)
    return tuple(
        AttackedGroup(row_name(own[0]), own[0].attacks if own[0].is_worst else (), key.task, tuple(own))
        for key, own in groups.items()
    )

"""Tables of which a line is an attack on one model, and a column one of its engines."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .report_records import SurvivalRow
from .row_key import RowKey


@dataclass(frozen=True)
class AttackLine:
    """One attack.

    Attributes:
        key: of all engines.
        cells: one per column, None where the engine has no row of the attack.
    """

    key: RowKey
    cells: tuple[SurvivalRow | None, ...]


def rows_by_attack(rows: Iterable[SurvivalRow]) -> dict[RowKey, dict[str, SurvivalRow]]:
    """Rows of one model by attack and engine."""
    found: dict[RowKey, dict[str, SurvivalRow]] = {}
    for row in rows:
        found.setdefault(row.key.over_engines(), {})[row.engine] = row
    return found


def attack_lines(rows: Iterable[SurvivalRow], engines: Sequence[str]) -> tuple[AttackLine, ...]:
    """A line per attack on one model.

    Args:
        rows: of one model.
        engines: labels, of the columns.
    """
    return tuple(AttackLine(key, tuple(map(own.get, engines))) for key, own in rows_by_attack(rows).items())

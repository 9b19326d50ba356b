"""Which rows of a report an answer is read off."""

from collections.abc import Sequence

from segeval.precision import coarsest

from .engines import together
from .report_records import SurvivalRow


def overall(rows: Sequence[SurvivalRow]) -> list[SurvivalRow]:
    """The rows of all tasks together, or of the only task, on engines as they ship."""
    return together([row for row in rows if row.ships])


def meant(rows: Sequence[SurvivalRow]) -> list[SurvivalRow]:
    """The overall rows of models that the attack was made for; how it transfers to others is no verdict on it."""
    return [row for row in overall(rows) if row.model in row.victims]


def headline(rows: Sequence[SurvivalRow]) -> SurvivalRow | None:
    """The row the verdict is about: the strongest attack on the desktop, on the coarsest precision.

    None if no attack reached a pixel.
    """
    precision = coarsest({row.precision for row in rows})
    candidates = [row for row in meant(rows) if row.precision == precision and row.survival.mean is not None]
    return max(candidates, key=lambda row: row.desktop_success.mean or 0.0, default=None)

"""Which row a report begins with: of the strongest attack, the engine that removes or adds most."""

from segeval.precision import PRECISION_ORDER

from .report_records import SurvivalRow
from .report_rows import ReportRows

FAILED = 0.05
"""Success on the desktop, as a share of φ, below which an attack failed: how much of that survives says little."""

SAME = 0.005
"""Difference of shares, half a percent, up to which an engine shows what the desktop shows."""


def failed(row: SurvivalRow) -> bool:
    """Whether the attack achieved next to nothing on the desktop."""
    return (row.desktop_success.mean or 0.0) < FAILED


def added(row: SurvivalRow) -> float:
    """Pixels that only the engine shows as the attack wants them, over φ; 0 in reports that did not measure it."""
    return 0.0 if row.gained is None else row.gained.mean or 0.0


def removed(row: SurvivalRow) -> float:
    """Pixels that only the desktop shows as the attack wants them, over φ."""
    return max(0.0, (row.desktop_success.mean or 0.0) - (row.engine_success.mean or 0.0) + added(row))


def as_on_desktop(row: SurvivalRow) -> bool:
    """Whether an engine shows what the desktop shows, to within half a percent of the pixels."""
    return not row.missing and (row.survival.mean or 0.0) >= 1 - SAME and added(row) <= SAME


def decisive(rows: ReportRows) -> SurvivalRow | None:
    """The row of the verdict, on an engine as it ships; of equals, the lowest precision.

    A file that the user brought comes before the others. None if no attack on the network reached a pixel.
    """
    found: list[SurvivalRow] = []
    for model in rows.models:
        found += rows.about(model).headline
    found = [row for row in found if row.survival.mean is not None]
    found = [row for row in found if row.own] or found
    found = [row for row in found if not failed(row)] or found
    found.sort(key=lambda row: PRECISION_ORDER.index(row.precision))
    return max(found, key=lambda row: max(removed(row), added(row)), default=None)

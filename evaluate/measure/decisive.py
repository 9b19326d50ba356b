"""Which row a report begins with: of the strongest attack, the engine that removes or adds most."""

from dataclasses import replace

from segeval.precision import PRECISION_ORDER
from segeval.stronger import FAILED

from .estimate_records import Estimate
from .report_records import SurvivalRow
from .report_rows import ReportRows
from .survival import SampleCounts

SAME = 0.005
"""Difference of shares, half a percent, up to which an engine shows what the desktop shows."""


def failed(row: SurvivalRow) -> bool:
    """Whether the attack achieved next to nothing on the desktop."""
    return (row.desktop_success.mean or 0.0) < FAILED


def failed_here(counts: SampleCounts) -> bool:
    """Whether the attack achieved next to nothing on one image on the desktop."""
    return counts.desktop_hit < FAILED * counts.phi


def told_survival(row: SurvivalRow) -> Estimate:
    """Survival as a reader is told it: without a value where the attack failed, since it is that of a few pixels."""
    known = row.survival
    if not failed(row):
        return known
    return replace(known, mean=None, low=None, high=None, pooled=None, pooled_low=None, pooled_high=None)


def added(row: SurvivalRow) -> float:
    """Pixels hit on the engine only, over φ; 0 in reports that did not measure it."""
    return 0.0 if row.gained is None else row.gained.mean or 0.0


def removed(row: SurvivalRow) -> float:
    """Pixels hit on the desktop only, over φ."""
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

"""Whether latencies were steady: no drift from beginning to end and no part that differs from the rest."""

from __future__ import annotations

from statistics import mean, median
from typing import List, NamedTuple, Optional, Sequence

WINDOWS = 12
GROUP = 4
"""The first and the last GROUP of the WINDOWS are compared."""
LEAST_CALLS = 5 * WINDOWS
DRIFT = 0.03
"""Change from beginning to end that is still steady."""
RANGE = 0.10
"""Difference between the slowest and the fastest window that is still steady."""
DOUBT = 4.0
"""Standard errors within which a drift may be chance: 99 % of a t distribution with 6 degrees of freedom and more."""
RANGE_DOUBT = 6.0
"""Standard deviations over which the medians of WINDOWS windows may spread by chance."""


class Steadiness(NamedTuple):
    """Whether latency stayed the same over a run.

    Attributes:
        steady: None where the calls are too few or too noisy to tell.
        drift: relative, from beginning to end.
        noise: drift that may be chance.
        medians: of the windows, in ms.
    """

    steady: Optional[bool]
    drift: float
    noise: float
    medians: List[float]


def steadiness(latencies: Sequence[float]) -> Steadiness:
    """Judge the latencies of the calls of a run, in order.

    They are cut into WINDOWS parts, each of which is represented by its median, so that single slow calls do not count.
    Not steady: the medians drift by more than DRIFT and more than chance explains, or range over more than RANGE and
    more than chance explains. Undecided: chance alone could hide a drift of DRIFT.
    """
    if len(latencies) < LEAST_CALLS:
        return Steadiness(None, 0.0, 0.0, [])
    cuts = [len(latencies) * number // WINDOWS for number in range(WINDOWS + 1)]
    medians = [median(latencies[cuts[number] : cuts[number + 1]]) for number in range(WINDOWS)]
    early, late, middle = medians[:GROUP], medians[-GROUP:], median(medians)
    deviation = (scatter(early) + scatter(late)) ** 0.5 / (2 * (GROUP - 1)) ** 0.5 / middle
    drift = mean(late) / mean(early) - 1
    noise = DOUBT * deviation * (2 / GROUP) ** 0.5
    spread = (max(medians) - min(medians)) / middle
    steady: Optional[bool] = True
    if abs(drift) > max(DRIFT, noise) or spread > max(RANGE, RANGE_DOUBT * deviation):
        steady = False
    elif noise > DRIFT:
        steady = None
    return Steadiness(steady, drift, noise, medians)


def scatter(values: Sequence[float]) -> float:
    """Sum of squared deviations from the mean."""
    middle = mean(values)
    return sum((value - middle) ** 2 for value in values)

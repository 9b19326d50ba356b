"""The rules of a benchmark, after MLPerf Inference's: how long, how often, and which percentiles may be given.

A latency run sends one batch after the other (single stream); an offline run has all images at hand and counts images
per second, one call after the other (serial); a throughput run queues the next call while one computes. All go on until
the least duration and the least count are reached.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Dict, NamedTuple, Optional, Sequence, Tuple

SCENARIOS = ("latency", "offline", "throughput")
PERCENTILES = (50, 90, 95, 99)
CONFIDENCE = 0.99


class Rules(NamedTuple):
    """One preset. Counts and durations are the least; both must be reached.

    Attributes:
        warmup_calls, warmup_s: unmeasured.
        seconds: measured.
        calls: of a latency run.
        images: of others.
        idle_s: nothing is done before each run, to measure the idle machine and who else works on it.
        period_s: between samples of the telemetry.
    """

    warmup_calls: int
    warmup_s: float
    seconds: float
    calls: int
    images: int
    idle_s: float
    period_s: float

    def share(self, scenario: str, calls: int, batch: int, seconds: float) -> float:
        """How much of a run is done, from 0; 1 and more is enough."""
        counted = calls / self.calls if scenario == "latency" else calls * batch / self.images
        return min(seconds / self.seconds, counted)


PRESETS: Dict[str, Rules] = {
    "quick": Rules(10, 2.0, 10.0, 130, 130, 5.0, 0.1),
    "publishable": Rules(50, 10.0, 600.0, 1024, 24576, 30.0, 0.1),
}
"""publishable: MLPerf's least duration (600 s) and counts (1024 queries in a single stream, 24576 samples offline)."""


def percentile(ordered: Sequence[float], percent: int) -> float:
    """The smallest value that `percent` of the values do not exceed (nearest rank, as MLPerf's)."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


@lru_cache(maxsize=None)
def exceeding(count: int, percent: int) -> int:
    """How many of the slowest of `count` calls may be left out so that the slowest of the rest is, with CONFIDENCE, no
    faster than the true percentile; -1 if the calls are too few for any bound.

    The largest t for which a binomial number of calls above the percentile is t or less with a probability of at most
    1 - CONFIDENCE. This is the test of MLPerf's early stopping.
    """
    above = 1 - percent / 100
    probability, most = 0.0, -1
    logarithm = count * math.log(1 - above)
    for number in range(count):
        probability += math.exp(logarithm)
        if probability > 1 - CONFIDENCE:
            break
        most = number
        logarithm += math.log((count - number) / (number + 1)) + math.log(above / (1 - above))
    return most


def least_count(percent: int) -> int:
    """Calls that a percentile needs, as in MLPerf: the fewest of which one may be left out (p90: 64, p99: 662)."""
    count = 1
    while exceeding(count, percent) < 1:
        count += 1
    return count


LEAST_COUNTS = {percent: least_count(percent) for percent in PERCENTILES}


def upper_bound(ordered: Sequence[float], percent: int) -> Optional[float]:
    """A value that the true percentile does not exceed, with CONFIDENCE; None if the values are too few."""
    drop = exceeding(len(ordered), percent)
    return None if drop < 0 else ordered[len(ordered) - 1 - drop]


def percentiles(values: Sequence[float]) -> Tuple[Dict[str, Dict[str, float]], Dict[str, str]]:
    """The percentiles that the number of values supports, with their upper bounds; and why the others are missing."""
    ordered = sorted(values)
    given: Dict[str, Dict[str, float]] = {}
    missing: Dict[str, str] = {}
    for percent in PERCENTILES:
        name, bound = "p{}".format(percent), upper_bound(ordered, percent)
        if bound is None or len(ordered) < LEAST_COUNTS[percent]:
            missing[name] = "{} calls, {} are needed".format(len(ordered), LEAST_COUNTS[percent])
        else:
            given[name] = {"ms": round(percentile(ordered, percent), 4), "upper_ms": round(bound, 4)}
    return given, missing

import numpy as np
import pytest
from scipy.stats import binom

from segeval_runner.bench.rules import (
    LEAST_COUNTS,
    PERCENTILES,
    PRESETS,
    exceeding,
    percentile,
    percentiles,
    upper_bound,
)


def test_the_counts_are_mlperfs() -> None:
    assert (LEAST_COUNTS[90], LEAST_COUNTS[99]) == (64, 662)
    strict = PRESETS["publishable"]
    assert (strict.seconds, strict.calls, strict.images) == (600, 1024, 24576)
    assert strict.calls >= LEAST_COUNTS[99]
    assert PRESETS["quick"].calls >= LEAST_COUNTS[95]


@pytest.mark.parametrize("percent", PERCENTILES)
@pytest.mark.parametrize("count", [1, 43, 44, 64, 661, 662, 1024, 20_000])
def test_how_many_calls_may_be_left_out_agrees_with_scipy(percent: int, count: int) -> None:
    drop = exceeding(count, percent)
    above = 1 - percent / 100
    assert drop == -1 or binom.cdf(drop, count, above) <= 0.01 + 1e-12
    assert binom.cdf(drop + 1, count, above) > 0.01


def test_the_upper_bound_holds_as_often_as_it_says() -> None:
    """In 1000 runs of 700 calls with a known percentile, at most 1 % of the bounds may lie below it."""
    rng = np.random.default_rng(0)
    for percent in (50, 90, 99):
        truth = np.exp(-np.log(1 - percent / 100) - 1)  # a monotone function of an exponential's percentile
        runs = np.exp(rng.exponential(size=(1000, 700)) - 1)
        bounds = [upper_bound(sorted(run), percent) for run in runs.tolist()]
        below = [bound is None or bound < truth for bound in bounds]
        assert np.mean(below) <= 0.01 + 3 * (0.01 * 0.99 / 1000) ** 0.5


def test_a_percentile_is_a_latency_that_was_measured() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, percent) for percent in PERCENTILES] == [50, 90, 95, 99]
    assert percentile([7.0], 99) == 7.0


def test_percentiles_that_the_count_does_not_support_are_missing_with_the_reason() -> None:
    given, missing = percentiles([3.0] * 129)
    assert set(given) == {"p50", "p90"}
    assert missing == {"p95": "129 calls, 130 are needed", "p99": "129 calls, 662 are needed"}
    given, missing = percentiles([3.0] * 662)
    assert given["p99"] == {"ms": 3.0, "upper_ms": 3.0}
    assert missing == {}
    assert percentiles([]) == ({}, {f"p{p}": f"0 calls, {LEAST_COUNTS[p]} are needed" for p in PERCENTILES})


def test_duration_and_count_must_both_be_reached() -> None:
    rules = PRESETS["quick"]._replace(seconds=10.0, calls=100, images=400)
    assert rules.share("latency", 1000, 1, 9.99) < 1
    assert rules.share("latency", 99, 1, 100.0) < 1
    assert rules.share("latency", 100, 1, 10.0) >= 1
    assert rules.share("latency", 25, 1, 5.0) == 0.25
    assert rules.share("offline", 99, 4, 10.0) < 1, "images count, not calls"
    assert rules.share("offline", 100, 4, 10.0) >= 1

"""False alarms and misses of the check for steadiness, on series whose truth is known."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from segeval_runner.bench.steady import LEAST_CALLS, steadiness

Series = NDArray[np.float64]
RUNS = 200


def noise(rng: np.random.Generator, calls: int, variation: float) -> Series:
    """Latencies around 10 ms with a tail to the slow side."""
    latencies: Series = 10 * np.exp(variation * rng.standard_normal(calls))
    latencies[rng.random(calls) < 0.01] *= 5
    return latencies


def drifting(latencies: Series) -> Series:
    """10 % slower at the end than at the beginning."""
    return latencies * np.linspace(1, 1.10, len(latencies))


def jumping(latencies: Series) -> Series:
    """20 % slower in a sixth of the run, in its middle."""
    changed = latencies.copy()
    middle = len(latencies) // 2
    changed[middle : middle + len(latencies) // 6] *= 1.2
    return changed


def unchanged(latencies: Series) -> Series:
    return latencies


def verdicts(calls: int, variation: float, change: Callable[[Series], Series]) -> Counter[bool | None]:
    rng = np.random.default_rng(calls)
    return Counter(steadiness(change(noise(rng, calls, variation)).tolist()).steady for _ in range(RUNS))


def test_a_steady_run_is_called_so() -> None:
    found = verdicts(1024, 0.03, unchanged)
    assert found[False] == 0
    assert found[True] >= 0.95 * RUNS


@pytest.mark.parametrize("calls", [130, 1024])
def test_false_alarms_are_rare_even_where_it_is_noisy(calls: int) -> None:
    for variation in (0.02, 0.05, 0.10):
        assert verdicts(calls, variation, unchanged)[False] <= 0.04 * RUNS


@pytest.mark.parametrize("change", [drifting, jumping])
def test_what_drifts_or_jumps_is_never_called_steady(change: Callable[[Series], Series]) -> None:
    for calls, variation in ((130, 0.02), (130, 0.05), (1024, 0.02), (1024, 0.05), (1024, 0.10)):
        assert verdicts(calls, variation, change)[True] <= 0.01 * RUNS


@pytest.mark.parametrize("change", [drifting, jumping])
def test_with_the_calls_of_a_publishable_run_it_is_found(change: Callable[[Series], Series]) -> None:
    assert verdicts(1024, 0.03, change)[False] >= 0.98 * RUNS


def test_neighbours_that_resemble_each_other_do_not_make_it_sure() -> None:
    """Noise with a memory of some calls makes medians scatter more than the number of calls suggests."""
    rng = np.random.default_rng(1)
    found: Counter[bool | None] = Counter()
    for _ in range(RUNS):
        shocks, level, latencies = rng.standard_normal(1024), 0.0, []
        for shock in shocks:
            level = 0.9 * level + 0.19**0.5 * shock
            latencies.append(10 * float(np.exp(0.05 * level)))
        found[steadiness(latencies).steady] += 1
    assert found[False] <= 0.04 * RUNS


def test_single_slow_calls_do_not_count() -> None:
    latencies = [10.0] * 600
    latencies[::50] = [500.0] * 12
    assert steadiness(latencies).steady is True


def test_few_calls_decide_nothing() -> None:
    assert steadiness([10.0] * (LEAST_CALLS - 1)).steady is None
    assert steadiness([10.0] * LEAST_CALLS).steady is True


def test_the_drift_is_measured() -> None:
    found = steadiness(np.linspace(10, 12, 1200).tolist())
    assert found.steady is False
    assert found.drift == pytest.approx(11.6667 / 10.3333 - 1, rel=1e-3)
    assert found.medians == sorted(found.medians)

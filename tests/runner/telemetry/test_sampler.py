import math
import threading
import time
from itertools import pairwise

import pytest

from segeval_runner.telemetry.energy import module_power, trapezoid
from segeval_runner.telemetry.reading import Reading
from segeval_runner.telemetry.sampler import Sampler


def reading(milliwatts: float) -> Reading:
    return Reading({"VDD_IN": milliwatts}, {}, {}, None, {}, {}, None)


def test_a_synthetic_signal_is_integrated_to_its_energy() -> None:
    """Power that follows a sine by the clock: 5 W on average, 3 W of swing, a period of 0.1 s."""
    begun = time.monotonic()

    def power_w(moment: float) -> float:
        return 5 + 3 * math.sin(2 * math.pi * (moment - begun) / 0.1)

    with Sampler(lambda: reading(1000 * power_w(time.monotonic())), 0.002) as sampler:
        time.sleep(0.5)
    points = module_power(sampler.rows(0, math.inf), ["VDD_IN"])
    start, end = points[0][0], points[-1][0]
    angle = [2 * math.pi * (moment - begun) / 0.1 for moment in (start, end)]
    exact = 5 * (end - start) + 3 * 0.1 / (2 * math.pi) * (math.cos(angle[0]) - math.cos(angle[1]))
    # The rule errs by at most h**3/12 · max|p''| per step, and a moment by at most the time that reading took,
    # here with the steps and times that really came about.
    slope, curvature = 3 * 2 * math.pi / 0.1, 3 * (2 * math.pi / 0.1) ** 2
    steps = [after[0] - before[0] for before, after in pairwise(points)]
    bound = sum(step**3 for step in steps) * curvature / 12 + slope * max(steps) * sampler.busy_s
    assert len(points) > 10
    assert abs(trapezoid(points) - exact) <= bound


def test_timestamps_ascend_and_windows_are_cut_by_them() -> None:
    with Sampler(lambda: reading(1), 0.005) as sampler:
        time.sleep(0.1)
        middle = time.monotonic()
        time.sleep(0.1)
    moments = [moment for moment, _ in sampler.rows(0, math.inf)]
    assert moments == sorted(set(moments))
    early, late = sampler.rows(0, middle), sampler.rows(middle, math.inf)
    assert early and late
    assert [*early, *late] == sampler.rows(0, math.inf)


def test_it_knows_what_its_reading_costs() -> None:
    def busy() -> Reading:
        end = time.thread_time() + 0.004
        while time.thread_time() < end:
            pass
        return reading(1)

    with Sampler(busy, 0.02) as sampler:
        time.sleep(0.3)
    samples = len(sampler.rows(0, math.inf))
    assert sampler.cpu_s >= 0.004 * samples
    assert sampler.cpu_s <= sampler.busy_s + 0.001 * samples
    assert sampler.busy_s <= sampler.elapsed_s
    with Sampler(lambda: reading(1), 0.02) as idle:
        time.sleep(0.2)
    assert idle.cpu_s / idle.elapsed_s < sampler.cpu_s / sampler.elapsed_s


def test_memory_is_bounded_by_halving_the_pace() -> None:
    read = 0

    def count() -> Reading:
        nonlocal read
        read += 1
        return reading(read)

    with Sampler(count, 0.0001, most_rows=16) as sampler:
        while sampler.period_s < 0.001 and read < 2000:
            time.sleep(0.001)
    rows = sampler.rows(0, math.inf)
    assert len(rows) < 16 < read
    values = [row[1].rails_mw["VDD_IN"] for row in rows]
    assert values[0] == 1, "the beginning is kept"
    assert values == sorted(values)


def test_an_error_of_a_sensor_is_not_silent() -> None:
    def broken() -> Reading:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), Sampler(broken, 0.001):
        time.sleep(0.02)
    assert not any(thread.name == "telemetry" for thread in threading.enumerate())

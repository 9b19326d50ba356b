import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segeval_runner.bench.conditions import CpuTime, busy_flags, clock_change, other_cores, telemetry_flags
from segeval_runner.telemetry.reading import Reading, Row
from segeval_runner.telemetry.summary import increases, power_modes, spread

TICKS = os.sysconf("SC_CLK_TCK")


def rows(**parts: list[Any]) -> list[Row]:
    """Readings a second apart; of each part a value per reading."""
    empty = Reading({}, {}, {}, None, {}, {}, None)
    count = max(map(len, parts.values()))
    return [
        (float(number), empty._replace(**{part: values[number] for part, values in parts.items()}))
        for number in range(count)
    ]


def kinds(readings: list[Row]) -> list[str]:
    summary = {
        "cooling": spread(readings, "cooling"),
        "events": increases(readings, "events"),
        "power_modes": power_modes(readings),
        "clocks_mhz": spread(readings, "clocks_mhz"),
    }
    return [flag["kind"] for flag in telemetry_flags(readings, summary)]


def test_a_quiet_run_has_no_flags() -> None:
    quiet = rows(
        cooling=[{"cpu": 0.0, "intel_powerclamp": -1.0}] * 40,
        events=[{"oc3": 37.0}] * 40,
        power_mode=["MAXN (0)"] * 40,
        clocks_mhz=[{"gpu": 918.0, "cpu": 2201.0, "emc": 3199.0}] * 40,
    )
    assert kinds(quiet) == []


def test_throttling_is_flagged_even_if_it_was_short() -> None:
    assert kinds(rows(cooling=[{"gpu": 0.0}] * 30 + [{"gpu": 1.0}] + [{"gpu": 0.0}] * 30)) == ["throttled"]


def test_over_current_events_within_the_run_are_flagged() -> None:
    assert kinds(rows(events=[{"oc1": 0.0, "oc3": 37.0}, {"oc1": 0.0, "oc3": 41.0}])) == ["over-current"]


def test_another_power_mode_is_flagged() -> None:
    assert kinds(rows(power_mode=["MAXN (0)"] * 5 + ["15W (1)"] * 5)) == ["power mode changed"]
    assert kinds(rows(power_mode=["MAXN (0)", None, "MAXN (0)"])) == []


def test_clocks_that_change_are_flagged_and_blinks_are_not() -> None:
    steady = [{"gpu": 918.0}] * 100
    assert kinds(rows(clocks_mhz=[*steady[:97], *[{"gpu": 306.0}] * 3])) == []
    assert kinds(rows(clocks_mhz=[*steady[:80], *[{"gpu": 306.0}] * 20])) == ["clocks changed"]
    assert clock_change([1000.0] * 60 + [1040.0] * 40) == pytest.approx(0.04)
    assert clock_change([0.0] * 10) == 0, "a GPU that is off"


def test_other_work_is_what_all_processes_used_without_this_one() -> None:
    before = CpuTime(100.0, 5000.0, 40.0)
    assert other_cores(before, CpuTime(110.0, 5018.0, 50.0)) == pytest.approx(0.8)
    assert other_cores(before, CpuTime(110.0, 5009.9, 50.0)) == 0, "ticks round"
    assert other_cores(before, CpuTime(100.4, 5001.0, 40.0)) is None, "too short for ticks of 10 ms"
    assert other_cores(before._replace(busy=None), CpuTime(110.0, 5018.0, 50.0)) is None
    assert [flag["kind"] for flag in busy_flags(0.8, "during the run")] == ["other work"]
    assert busy_flags(0.1, "during the run") == busy_flags(None, "during the run") == []


def test_cpu_time_is_read_from_the_kernel(tmp_path: Path) -> None:
    stat = tmp_path / "proc/stat"
    stat.parent.mkdir()
    #                user nice system idle iowait irq softirq steal guest guest_nice
    stat.write_text("cpu  100 20 30 9999 888 4 5 777 66 6\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    assert CpuTime.now(tmp_path).busy == pytest.approx((100 + 20 + 30 + 4 + 5) / TICKS)
    for content in ("", "cpu\n", "cpu  1 2 x 4 5 6 7\n", "intr 1 2 3 4 5 6 7 8\n"):
        stat.write_text(content)
        assert CpuTime.now(tmp_path).busy is None
    stat.unlink()
    assert CpuTime.now(tmp_path).busy is None


def test_this_process_is_not_other_work(tmp_path: Path) -> None:
    """Against a kernel that counts this process alone."""

    def kernel(ticks: Callable[[], int]) -> CpuTime:
        (tmp_path / "proc").mkdir(exist_ok=True)
        (tmp_path / "proc/stat").write_text(f"cpu  {ticks()} 0 0 0 0 0 0\n")
        return CpuTime.now(tmp_path)

    def own_ticks() -> int:
        return int(time.process_time() * TICKS)

    before = kernel(own_ticks)
    while time.monotonic() - before.moment < 0.55:
        pass
    cores = other_cores(before, kernel(own_ticks))
    assert cores is not None
    assert cores < 0.1

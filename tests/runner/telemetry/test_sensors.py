"""Temperatures, clocks, throttling, memory and power mode from a fake tree."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from segeval_runner.telemetry.clocks import find_clocks, pinned
from segeval_runner.telemetry.memory import used_mb
from segeval_runner.telemetry.power_mode import mode_from_command, mode_from_files
from segeval_runner.telemetry.sysfs import number, read_all, text
from segeval_runner.telemetry.thermal import find_zones
from segeval_runner.telemetry.throttling import find_cooling, find_events

Write = Callable[[str, object], Path]


def test_zones_that_are_off_constant_or_unreadable_are_absent(tmp_path: Path, write: Write) -> None:
    zones = {"cpu-thermal": 49250, "gpu-thermal": -256000, "PMIC-Die": 100000, "tj-thermal": "", "frost": -12500}
    for place, (name, value) in enumerate(zones.items()):
        write(f"sys/class/thermal/thermal_zone{place}/type", name)
        write(f"sys/class/thermal/thermal_zone{place}/temp", value)
    write("sys/class/thermal/thermal_zone9/type", "cv0-thermal")
    sensors = find_zones(tmp_path)
    assert read_all(sensors) == {"cpu-thermal": 49.25, "frost": -12.5}
    write("sys/class/thermal/thermal_zone1/temp", 51000)
    assert read_all(sensors)["gpu-thermal"] == 51.0, "a GPU that wakes up has a temperature"


@pytest.mark.parametrize("device", ["57000000.gpu", "17000000.gp10b", "17000000.gv11b", "17000000.ga10b", "gpu-gpc-0"])
def test_clocks_of_the_fastest_core_and_of_the_gpu(tmp_path: Path, write: Write, device: str) -> None:
    for core, kilohertz in enumerate((729600, 2201600, "")):
        write(f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq", kilohertz)
    write(f"sys/class/devfreq/{device}/cur_freq", 918000000)
    write("sys/class/devfreq/15340000.vic/cur_freq", 115200000)
    assert read_all(find_clocks(tmp_path)) == pytest.approx({"cpu": 2201.6, "gpu": 918.0})
    write("sys/kernel/debug/bpmp/debug/clk/emc/rate", 3199000000)
    assert read_all(find_clocks(tmp_path))["emc"] == pytest.approx(3199)


def test_clocks_are_pinned_where_no_limit_leaves_room(tmp_path: Path, write: Write) -> None:
    assert pinned(tmp_path) is None
    core, gpu = "sys/devices/system/cpu/cpu{}/cpufreq", "sys/class/devfreq/17000000.gpu"
    for number_of in (0, 1):
        for limit in ("scaling_min_freq", "scaling_max_freq"):
            write(f"{core.format(number_of)}/{limit}", 1510400)
    assert pinned(tmp_path) is True
    write(f"{gpu}/min_freq", 306000000)
    write(f"{gpu}/max_freq", 612000000)
    write("sys/class/devfreq/15340000.vic/min_freq", 1)
    write("sys/class/devfreq/15340000.vic/max_freq", 2)
    assert pinned(tmp_path) is False
    write(f"{gpu}/min_freq", 612000000)
    assert pinned(tmp_path) is True
    write(f"{core.format(1)}/scaling_min_freq", 729600)
    assert pinned(tmp_path) is False


def test_a_gpu_is_known_by_the_name_of_its_device_too(tmp_path: Path, write: Write) -> None:
    write("sys/class/devfreq/13e00000.host/cur_freq", 600000000)
    assert find_clocks(tmp_path) == {}
    write("sys/class/devfreq/13e00000.host/device/of_node/name", "gpu\0")
    assert read_all(find_clocks(tmp_path)) == {"gpu": 600.0}


def test_cooling_devices_that_slow_something_down(tmp_path: Path, write: Write) -> None:
    devices = (("pwm-fan", 3), ("cpu-throttle-alert", 0), ("gpufreq", 2), ("gpufreq", 1), ("intel_powerclamp", -1))
    for place, (kind, state) in enumerate(devices):
        write(f"sys/class/thermal/cooling_device{place}/type", kind)
        write(f"sys/class/thermal/cooling_device{place}/cur_state", state)
    states = read_all(find_cooling(tmp_path))
    assert states == {"cpu-throttle-alert": 0, "gpufreq": 2, "gpufreq (cooling_device3)": 1, "intel_powerclamp": -1}


def test_over_current_events_are_counted(tmp_path: Path, write: Write) -> None:
    for event, count in (("oc1", 0), ("oc2", 15), ("oc3", 37)):
        write(f"sys/class/hwmon/hwmon3/{event}_event_cnt", count)
    assert read_all(find_events(tmp_path)) == {"oc1": 0, "oc2": 15, "oc3": 37}


def test_memory_in_use(tmp_path: Path, write: Write) -> None:
    assert used_mb(tmp_path) is None
    write("proc/meminfo", "MemTotal:        7802880 kB\nMemFree:  100 kB\nMemAvailable:    5754880 kB")
    assert used_mb(tmp_path) == 2000
    write("proc/meminfo", "MemTotal:        7802880 kB")
    assert used_mb(tmp_path) is None


def test_the_power_mode_has_a_number_and_a_name(tmp_path: Path, write: Write) -> None:
    assert mode_from_files(tmp_path) is None
    write("var/lib/nvpmodel/status", "pmode:0002")
    assert mode_from_files(tmp_path) == "mode 2"
    write("etc/nvpmodel.conf", "# < POWER_MODEL >\n< POWER_MODEL ID=0 NAME=15W >\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >")
    assert mode_from_files(tmp_path) == "MAXN_SUPER (2)"


def command(write: Write, body: str) -> str:
    """A program that runs these lines of shell."""
    path = write("bin/nvpmodel", f"#!/bin/sh\n{body}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_nvpmodel_is_asked_where_its_files_are_not(tmp_path: Path, write: Write) -> None:
    answering = 'test "$1" = -q && printf "NVPM WARN: fan mode is not set!\\nNV Power Mode: MAXN\\n0\\n"'
    assert mode_from_command(command(write, answering)) == "MAXN (0)"
    assert mode_from_command(command(write, 'echo "NV Power Mode: MAXN"; exit 1')) is None
    assert mode_from_command(command(write, "echo nothing of the kind")) is None
    assert mode_from_command(str(tmp_path / "none")) is None


def test_what_is_no_number_is_absent(tmp_path: Path, write: Write) -> None:
    file = write("value", "32760 ma")
    assert number(file) == 32760
    for content in ("", "none", "\0"):
        file.write_text(content)
        assert number(file) is None
    file.write_bytes(b"\xff\xfe\0")
    assert text(file) == "\ufffd\ufffd"
    assert number(tmp_path / "absent") is None
    assert number(tmp_path) is None, "a folder"

"""Which source of power is chosen, and what is recorded of it."""

import stat
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from segeval.files.encoding import decode, encode
from segeval.files.telemetry import Power, Telemetry
from segeval_runner.telemetry import Machine, Monitor, energy, tegrastats
from segeval_runner.telemetry.source import Source

Write = Callable[[str, object], Path]
Ina = Callable[[Mapping[str, tuple[int, int] | None]], None]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path, str(tmp_path / "bin"))


@pytest.fixture
def short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Power of windows that are too short to mean something."""
    monkeypatch.setattr(energy, "LEAST_SECONDS", 0.05)
    monkeypatch.setattr(energy, "LEAST_SAMPLES", 3)


def program(write: Write, name: str, body: str) -> None:
    path = write(f"bin/{name}", f"#!/bin/sh\n{body}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def watched(machine: Machine, seconds: float = 0.4) -> dict[str, Any]:
    with Monitor(machine, 0.01) as monitor:
        time.sleep(seconds)
        return monitor.summary()


def test_nothing_is_not_zero(machine: Machine) -> None:
    summary = watched(machine, 0.05)
    assert summary["source"] == "not available"
    assert summary["power"].startswith("not available: no power rails")
    assert summary["rails_mw"] == summary["temperatures_c"] == summary["clocks_mhz"] == {}
    assert summary["memory_mb"] is None
    assert summary["samples"] > 0


@pytest.mark.usefixtures("short_windows")
def test_a_jetson_is_summarised(machine: Machine, ina: Ina, write: Write) -> None:
    ina({"VDD_IN": (5000, 2000), "VDD_CPU_GPU_CV": (5000, 600), "VDD_SOC": (5000, 300)})
    write("sys/class/thermal/thermal_zone0/type", "tj-thermal")
    temperature = write("sys/class/thermal/thermal_zone0/temp", 50000)
    events = write("sys/class/hwmon/hwmon9/oc3_event_cnt", 7)
    mode = write("var/lib/nvpmodel/status", "pmode:0000")
    with Monitor(machine, 0.01) as monitor:
        time.sleep(0.1)
        temperature.write_text("62500")
        events.write_text("9")
        mode.write_text("pmode:0001")
        time.sleep(0.1)
        summary = monitor.summary()
    read = decode(encode(summary), Telemetry, "summary")
    assert isinstance(read.power, Power)
    assert (read.power.quantity, read.power.rails) == ("module-rail power", ("VDD_IN",))
    assert read.power.mean_w == pytest.approx(10.0)
    assert read.rails_mw["VDD_SOC"].median == 1500
    assert (read.temperatures_c["tj-thermal"].first, read.temperatures_c["tj-thermal"].most) == (50.0, 62.5)
    assert read.events == {"oc3": 2}
    assert read.power_modes == ("mode 0", "mode 1")
    assert 0 < read.overhead.reading < 1
    assert 0 <= read.overhead.cpu < 1


@pytest.mark.usefixtures("short_windows")
def test_thors_module_and_its_whole_board_are_two_numbers(machine: Machine, ina: Ina, write: Write) -> None:
    ina({"VDD_GPU": (12000, 400), "VDD_CPU_SOC_MSS": (12000, 650), "VIN_SYS_5V0": (5000, 1200)})
    folder = "sys/bus/i2c/drivers/ina238/2-0044/hwmon/hwmon5"
    for name, value in (("name", "ina238"), ("label", "VIN"), ("in1_input", 20000), ("curr1_input", 1427)):
        write(f"{folder}/{name}", value)
    write(f"{folder}/power1_input", 28548000)
    read = decode(encode(watched(machine, 0.2)), Telemetry, "summary")
    assert isinstance(read.power, Power) and isinstance(read.board_power, Power)
    assert read.power.quantity == "module-rail power"
    assert read.power.mean_w == pytest.approx(4.8 + 7.8 + 6.0)
    assert read.power.rails == ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0")
    assert (read.board_power.quantity, read.board_power.rails) == ("board-input power", ("VIN",))
    assert read.board_power.mean_w == pytest.approx(28.548)


@pytest.mark.usefixtures("short_windows")
def test_a_board_without_an_input_monitor_has_no_such_number(machine: Machine, ina: Ina) -> None:
    ina({"VDD_IN": (5000, 2000)})
    summary = watched(machine, 0.2)
    assert summary["board_power"] is None
    del summary["board_power"]
    assert decode(encode(summary), Telemetry, "summary").board_power is None, "records of earlier runners lack it"


def test_power_of_a_short_window_is_refused(machine: Machine, ina: Ina) -> None:
    ina({"VDD_IN": (5000, 2000)})
    assert watched(machine, 0.1)["power"].startswith("not available: ")


@pytest.mark.usefixtures("short_windows")
def test_rails_that_do_not_add_up_give_no_power(machine: Machine, ina: Ina) -> None:
    ina({"VDD_LEFT": (5000, 2000), "VDD_RIGHT": (5000, 2000)})
    power = watched(machine, 0.1)["power"]
    assert power == "not available: no sum of the rails VDD_LEFT, VDD_RIGHT is known to be the module's"


@pytest.mark.usefixtures("short_windows")
def test_tegrastats_is_run_where_no_rail_can_be_read(machine: Machine, write: Write) -> None:
    line = "CPU [3%@1904,off] GR3D_FREQ 0%@[510] CPU@39.5C GPU@-256C VDD_IN 5079mW/5000mW VDD_SOC 1104mW/1100mW"
    program(write, "tegrastats", f'test "$1 $2" = "--interval 10" || exit 1\nwhile echo "{line}"; do sleep 0.1; done')
    summary = watched(machine, 0.8)
    assert summary["source"] == "tegrastats"
    assert summary["power"]["mean_w"] == pytest.approx(5.079)
    assert summary["power"]["samples"] < summary["samples"], "a line is one measurement, however often it is looked at"
    assert summary["clocks_mhz"]["gpu"]["median"] == 510
    assert set(summary["temperatures_c"]) == {"CPU"}


def test_a_tegrastats_that_ends_at_once_gives_nothing(machine: Machine, write: Write) -> None:
    program(write, "tegrastats", "exit 1")
    summary = watched(machine, 0.1)
    assert summary["source"] == "tegrastats"
    assert summary["power"] == "not available: 0 samples of power, 20 are needed"


def test_a_tegrastats_that_does_not_want_to_end_is_ended(
    machine: Machine, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tegrastats, "PATIENCE_S", 0.2)
    program(write, "tegrastats", 'trap "" TERM\nwhile echo "RAM 1/2MB"; do sleep 0.1; done')
    assert watched(machine, 0.3)["source"] == "tegrastats"
    assert not any(thread.name == "tegrastats" for thread in threading.enumerate())


@pytest.mark.usefixtures("short_windows")
def test_rapl_is_the_last_resort_and_has_its_own_name(machine: Machine, write: Write) -> None:
    zone = "sys/class/powercap/intel-rapl:0"
    write(f"{zone}/name", "package-0")
    write(f"{zone}/max_energy_range_uj", 1_000_000)
    counter, used = write(f"{zone}/energy_uj", 0), 0
    with Monitor(machine, 0.01) as monitor:
        while len(monitor.rows(0, time.monotonic())) < 10:
            used += 1000
            part = counter.with_name("part")
            part.write_text(str(used % 1_000_000))
            part.replace(counter)
            time.sleep(0.01)
        summary = monitor.summary()
    assert (summary["source"], summary["power"]["quantity"]) == ("rapl", "CPU package power (RAPL)")
    assert summary["power"]["rails"] == ["package-0"]
    assert summary["power"]["mean_w"] > 0


def test_files_are_preferred_to_programs(machine: Machine, ina: Ina, write: Write) -> None:
    program(write, "tegrastats", "exit 1")
    program(write, "nvpmodel", "exit 1")
    ina({"VDD_IN": (5000, 2000)})
    source = Source(machine, 0.1)
    assert source.name == "hwmon"
    assert source.read().rails_mw == {"VDD_IN": 10000}


def test_the_power_mode_is_asked_for_where_its_file_is_not(machine: Machine, write: Write) -> None:
    program(write, "nvpmodel", 'printf "NV Power Mode: 15W\\n1\\n"')
    assert Source(machine, 0.1).read().power_mode == "15W (1)"

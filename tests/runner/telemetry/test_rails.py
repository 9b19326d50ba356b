"""Rails from fake trees laid out as the drivers of JetPack 4 to 7 do."""

from collections.abc import Callable
from pathlib import Path

import pytest

from segeval_runner.telemetry.rails import MODULE_RAILS, board_rails, find_hwmon_rails, find_iio_rails, module_rails
from segeval_runner.telemetry.sysfs import read_all

Write = Callable[[str, object], Path]
Ina = Callable[..., None]


def test_a_rail_is_its_voltage_times_its_current(tmp_path: Path, ina: Ina) -> None:
    ina({"VDD_IN": (4936, 1064), "VDD_CPU_GPU_CV": (4936, 104), "VDD_SOC": (4928, 280)})
    rails = read_all(find_hwmon_rails(tmp_path))
    assert rails == {"VDD_IN": 4936 * 1064 / 1000, "VDD_CPU_GPU_CV": 4936 * 104 / 1000, "VDD_SOC": 4928 * 280 / 1000}
    assert module_rails(rails.keys()) == ("VDD_IN",), "the total, not the total and its parts"


def test_channels_that_are_off_or_wired_to_nothing_are_absent(tmp_path: Path, ina: Ina) -> None:
    ina({"VDD_GPU_SOC": (5000, 468), "VDD_CPU_CV": (5000, 78), "VIN_SYS_5V0": (5000, 805)})
    ina({"NC": (5000, 9), "VDDQ_VDD2_1V8AO": (1800, 341), "SPARE": None}, "1-0041", "hwmon4")
    rails = read_all(find_hwmon_rails(tmp_path))
    assert set(rails) == {"VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"}
    assert module_rails(rails.keys()) == ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")


def test_thor_has_an_input_of_the_board_that_is_not_the_modules(tmp_path: Path, ina: Ina, write: Write) -> None:
    ina({"VDD_GPU": (12000, -33), "VDD_CPU_SOC_MSS": (12000, 650), "VIN_SYS_5V0": (5000, 1200)})
    folder = "sys/bus/i2c/drivers/ina238/2-0044/hwmon/hwmon5"
    write(f"{folder}/name", "ina238")
    write(f"{folder}/label", "VIN")
    write(f"{folder}/power1_input", 28548000)
    rails = read_all(find_hwmon_rails(tmp_path))
    assert rails["VIN"] == pytest.approx(28548)
    assert rails["VDD_GPU"] == pytest.approx(-396), "a monitor's offset is kept, not made zero"
    assert module_rails(rails.keys()) == ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0")
    assert board_rails(rails.keys()) == ("VIN",)
    assert board_rails(["VDD_IN", "VIN_SYS_5V0"]) == ()


def test_the_older_driver_gives_milliwatts(tmp_path: Path, write: Write) -> None:
    folder = "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
    for number, (label, power) in enumerate((("POM_5V_IN", 2532), ("POM_5V_GPU", 0), ("NC", 7))):
        write(f"{folder}/rail_name_{number}", label)
        write(f"{folder}/in_power{number}_input", power)
    rails = read_all(find_iio_rails(tmp_path))
    assert rails == {"POM_5V_IN": 2532, "POM_5V_GPU": 0}
    assert module_rails(rails.keys()) == ("POM_5V_IN",)
    assert find_hwmon_rails(tmp_path) == {}


def test_rails_that_are_not_known_to_add_up_are_not_added_up() -> None:
    assert module_rails(["VDD_GPU_SOC", "VDD_CPU_CV"]) == ()
    assert module_rails([]) == ()
    assert module_rails(["GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"]) == MODULE_RAILS[-1]


def test_a_machine_without_monitors_has_no_rails(tmp_path: Path) -> None:
    assert find_hwmon_rails(tmp_path) == find_iio_rails(tmp_path) == {}

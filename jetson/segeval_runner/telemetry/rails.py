"""Power of the module's rails, straight from the kernel's drivers of the power monitors (INA3221, INA238).

JetPack 5 and later: hwmon, in N_label, inN_input (mV) and currN_input (mA).   JetPack 4: iio, rail_name_N and
in_powerN_input (mW).   Thor's INA238 gives power1_input (uW).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Collection, Dict, Iterator, Optional, Tuple

from segeval_runner.telemetry.sysfs import Sensor, number, scaled, text

DRIVERS = "sys/bus/i2c/drivers"

MODULE_RAILS = (
    ("VDD_IN",),
    ("POM_5V_IN",),
    ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"),
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
    ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),
)
"""What is summed to the power of the module; the first line whose rails are all there.

One input rail where the board measures one (Orin NX and Nano, Xavier NX, TX2: VDD_IN; Nano: POM_5V_IN), else the
inputs that add up to it: Thor, AGX Orin, AGX Xavier. Not summed: rails behind another one (AGX Orin's VDDQ_VDD2_1V8AO
is fed from VIN_SYS_5V0), and BOARD_RAILS.
"""

BOARD_RAILS = ("VIN",)
"""Inputs of module and carrier board together: Thor's INA238. What jtop calls total there, and more than the module."""


def module_rails(names: Collection[str]) -> Tuple[str, ...]:
    """The rails among `names` whose sum is the power of the module; nothing if these are not known to add up to it."""
    return next((rails for rails in MODULE_RAILS if all(rail in names for rail in rails)), ())


def board_rails(names: Collection[str]) -> Tuple[str, ...]:
    """The rails among `names` that are the power of the whole board; nothing where none measures it."""
    return tuple(rail for rail in BOARD_RAILS if rail in names)


def find_hwmon_rails(root: Path) -> Dict[str, Sensor]:
    """Rails of the hwmon drivers in mW, by label."""
    rails: Dict[str, Sensor] = {}
    for folder in sorted((root / DRIVERS).glob("ina*/*/hwmon/hwmon*")):
        for name, sensor in channels(folder):
            rails.setdefault(name, sensor)
    return rails


def channels(folder: Path) -> Iterator[Tuple[str, Sensor]]:
    """The connected channels of one monitor."""
    labelled = False
    for file in sorted(folder.glob("in*_label")):
        channel = re.sub(r"\D", "", file.name)
        volts, amperes = folder / "in{}_input".format(channel), folder / "curr{}_input".format(channel)
        if not amperes.exists():
            continue  # the sum of the shunt voltages is labelled as well
        labelled = True
        label = text(file)
        if connected(label):
            yield str(label), product(volts, amperes)
    power = folder / "power1_input"
    if not labelled and power.exists():
        yield text(folder / "label") or text(folder / "name") or "power", scaled(power, 1e-3)


def product(volts: Path, amperes: Path) -> Sensor:
    """mV x mA / 1000 = mW."""

    def read() -> Optional[float]:
        voltage, current = number(volts), number(amperes)
        return None if voltage is None or current is None else voltage * current / 1000

    return read


def find_iio_rails(root: Path) -> Dict[str, Sensor]:
    """Rails of the older iio driver in mW, by label."""
    rails: Dict[str, Sensor] = {}
    for file in sorted((root / DRIVERS).glob("ina3221*/*/iio:device*/rail_name_*")):
        label = text(file)
        power = file.parent / "in_power{}_input".format(file.name[len("rail_name_") :])
        if connected(label) and power.exists():
            rails.setdefault(str(label), scaled(power, 1.0))
    return rails


def connected(label: Optional[str]) -> bool:
    """Whether a channel's label names a rail; "NC" is a channel that is wired to nothing."""
    return bool(label) and label != "NC"

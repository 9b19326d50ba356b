from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Write = Callable[[str, object], Path]
Ina = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file of a fake file system, whose root is tmp_path."""

    def written(name: str, content: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
        return path

    return written


@pytest.fixture
def ina(tmp_path: Path, write: Write) -> Ina:
    """An INA3221 of the hwmon driver as a kernel shows it: the driver's folder holds links to its devices.

    channels: (mV, mA) by label, in order; None for a channel that is switched off and cannot be read.
    """

    def made(channels: Mapping[str, tuple[int, int] | None], chip: str = "1-0040", hwmon: str = "hwmon3") -> None:
        folder = f"sys/devices/platform/c240000.i2c/{chip}/hwmon/{hwmon}"
        write(f"{folder}/name", "ina3221")
        write(f"{folder}/in7_label", "sum of shunt voltages")
        write(f"{folder}/in7_input", 123)
        for number, (label, values) in enumerate(channels.items(), start=1):
            write(f"{folder}/in{number}_label", label)
            for kind, value in zip(("in", "curr"), values or (0, 0), strict=True):
                file = write(f"{folder}/{kind}{number}_input", value)
                if values is None:
                    file.unlink()
                    file.mkdir()  # reading it fails, even for root
        drivers = tmp_path / "sys/bus/i2c/drivers/ina3221"
        drivers.mkdir(parents=True, exist_ok=True)
        (drivers / chip).symlink_to(tmp_path / f"sys/devices/platform/c240000.i2c/{chip}")

    return made

"""Temperatures of the thermal zones."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Optional

from segeval_runner.telemetry.sysfs import Sensor, number, text

ABSENT_C = -200.0
"""A zone that is switched off reads -256 C."""


def believable(name: str, celsius: float) -> bool:
    """Whether a temperature is plausible. PMIC zones of Jetsons report a constant 50 or 100 C."""
    return celsius > ABSENT_C and not name.upper().startswith("PMIC")


def find_zones(root: Path) -> Dict[str, Sensor]:
    """Zones by type, in C. A zone may answer at some times only: a GPU that sleeps has no temperature."""
    zones: Dict[str, Sensor] = {}
    for folder in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        name = text(folder / "type") or folder.name
        zones.setdefault(name, zone(name, folder / "temp"))
    return zones


def zone(name: str, file: Path) -> Sensor:
    """The sensor of one zone."""

    def read() -> Optional[float]:
        value = number(file)
        return value / 1000 if value is not None and believable(name, value / 1000) else None

    return read

"""Signs that the machine is slowed down: active cooling devices and over-current events."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

from segeval_runner.telemetry.sysfs import Sensor, number, scaled, text


def find_cooling(root: Path) -> Dict[str, Sensor]:
    """The state of each cooling device that slows something down. Fans are cooling devices too, but slow nothing."""
    devices: Dict[str, Sensor] = {}
    for folder in sorted((root / "sys/class/thermal").glob("cooling_device*")):
        kind = text(folder / "type") or folder.name
        if "fan" not in kind.lower() and number(folder / "cur_state") is not None:
            name = kind if kind not in devices else "{} ({})".format(kind, folder.name)
            devices[name] = scaled(folder / "cur_state", 1.0)
    return devices


def find_events(root: Path) -> Dict[str, Sensor]:
    """Counters of over-current and under-voltage events (Orin: oc1 under-voltage, oc2 average, oc3 instantaneous)."""
    counters: Dict[str, Sensor] = {}
    for file in sorted((root / "sys/class/hwmon").glob("hwmon*/oc*_event_cnt")):
        counters.setdefault(file.name.partition("_")[0], scaled(file, 1.0))
    return counters

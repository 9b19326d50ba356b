"""Energy counters of x86 processors (RAPL): power of the CPU packages, where the kernel lets this user read them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Callable, Dict, Optional, Tuple

from segeval_runner.telemetry.sysfs import Sensor, number, text


class Counter:
    """An energy counter in uJ that starts again at 0 after `most`."""

    def __init__(self, energy: Path, most: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._energy = energy
        self._most = most
        self._clock = clock
        self._before: Optional[Tuple[float, float]] = None

    def __call__(self) -> Optional[float]:
        """Mean power in mW since the call before, None at the first."""
        value, now = number(self._energy), self._clock()
        before = self._before
        self._before = None if value is None else (now, value)
        if value is None or before is None or now <= before[0]:
            return None
        # One turn at most: a counter of 262 kJ lasts for 22 minutes at 200 W.
        used = value - before[1] if value >= before[1] else value + self._most - before[1]
        return used / 1000 / (now - before[0])


def find_packages(root: Path) -> Dict[str, Sensor]:
    """A sensor for each CPU package. "psys", the whole platform, holds the packages and is left out."""
    packages: Dict[str, Sensor] = {}
    for folder in sorted((root / "sys/class/powercap").glob("intel-rapl:*")):
        name = text(folder / "name") or ""
        most = number(folder / "max_energy_range_uj")
        if name.startswith("package") and most and number(folder / "energy_uj") is not None:
            packages[name] = Counter(folder / "energy_uj", most)
    return packages

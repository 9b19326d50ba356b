"""Which sensors this machine has."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Dict, NamedTuple, Optional, Tuple

from segeval_runner.telemetry.clocks import find_clocks
from segeval_runner.telemetry.memory import used_mb
from segeval_runner.telemetry.power_mode import mode_from_command, mode_from_files
from segeval_runner.telemetry.rails import find_hwmon_rails, find_iio_rails, module_rails
from segeval_runner.telemetry.rapl import find_packages
from segeval_runner.telemetry.reading import Reading
from segeval_runner.telemetry.sysfs import Sensor, read_all
from segeval_runner.telemetry.tegrastats import Tegrastats
from segeval_runner.telemetry.thermal import find_zones
from segeval_runner.telemetry.throttling import find_cooling, find_events

MODULE = "module-rail power"
BOARD = "board-input power"
PACKAGE = "CPU package power (RAPL)"
NO_SOURCE = "no power rails, no tegrastats and no RAPL counter can be read on this machine"


class Machine(NamedTuple):
    """Where to look.

    Attributes:
        root: of the file system.
        path: where programs are looked for, None for the usual places.
    """

    root: Path = Path("/")
    path: Optional[str] = None

    def which(self, program: str) -> Optional[str]:
        """Where a program is, if it is there."""
        return shutil.which(program, path=self.path)


class Source:
    """The sensors of a machine, looked up once.

    name: where power comes from, "hwmon", "iio", "tegrastats", "rapl" or "not available".
    """

    def __init__(self, machine: Machine, period_s: float) -> None:
        self._machine = machine
        self._zones = find_zones(machine.root)
        self._clocks = find_clocks(machine.root)
        self._cooling = find_cooling(machine.root)
        self._events = find_events(machine.root)
        self._tegrastats: Optional[Tegrastats] = None
        self._mode: Optional[str] = None
        command = machine.which("nvpmodel")
        if command and mode_from_files(machine.root) is None:
            self._mode = mode_from_command(command)
        self.name, self._rails = self._find_power(period_s)

    def _find_power(self, period_s: float) -> Tuple[str, Dict[str, Sensor]]:
        for name, find in (("hwmon", find_hwmon_rails), ("iio", find_iio_rails)):
            rails = find(self._machine.root)
            if read_all(rails):
                return name, rails
        command = self._machine.which("tegrastats")
        if command:
            self._tegrastats = Tegrastats(command, period_s)
            return "tegrastats", {}
        packages = find_packages(self._machine.root)
        return ("rapl", packages) if packages else ("not available", {})

    def quantity(self, names: Tuple[str, ...]) -> Tuple[str, Tuple[str, ...]]:
        """What the power of the machine is called, and which of the rails `names` are summed for it; maybe none."""
        return (PACKAGE, names) if self.name == "rapl" else (MODULE, module_rails(names))

    def read(self) -> Reading:
        """Read everything once."""
        root = self._machine.root
        here = Reading(
            rails_mw=read_all(self._rails),
            temperatures_c=read_all(self._zones),
            clocks_mhz=read_all(self._clocks),
            memory_mb=used_mb(root),
            cooling=read_all(self._cooling),
            events=read_all(self._events),
            power_mode=self._mode or mode_from_files(root),
        )
        told = self._tegrastats.take() if self._tegrastats else None
        if told is None:
            return here
        return here._replace(
            rails_mw=told.rails_mw,
            temperatures_c={**told.temperatures_c, **here.temperatures_c},
            clocks_mhz={**told.clocks_mhz, **here.clocks_mhz},
            memory_mb=told.memory_mb if here.memory_mb is None else here.memory_mb,
        )

    def close(self) -> None:
        """Release what runs."""
        if self._tegrastats:
            self._tegrastats.close()

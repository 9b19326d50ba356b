"""NVIDIA's tegrastats, for Jetsons whose sensors cannot be read as files.

The lines of Nano, TX2, Xavier, Orin and Thor differ from release to release: rails with and without unit, with one,
two (now/average) or three values (now/average/most), a GPU load that is missing, clocks of several GPU clusters,
cores that are off, zones that read -256C, channels called NC, names with spaces.
"""

from __future__ import annotations

import re
import subprocess
import threading
from typing import Dict, Optional

from segeval_runner.telemetry.reading import Reading
from segeval_runner.telemetry.thermal import believable

NAME = r"(?:^|(?<=\s))((?:(?!off\b)[A-Z][\w.+-]*\s)*(?!off\b)[A-Z][\w.+-]*)"
RAIL = re.compile(NAME + r"\s(-?\d+)(?:mW(?:/-?\d+mW){0,2}|(?:/-?\d+){1,2})(?=\s|$)", re.IGNORECASE)
TEMPERATURE = re.compile(NAME + r"@(-?\d+(?:\.\d+)?)C(?:/-?\d+(?:\.\d+)?C)*(?=\s|$)", re.IGNORECASE)
CORES = re.compile(r"\bCPU \[([^\]]*)\](?:@(\d+))?", re.IGNORECASE)
GPU = re.compile(r"\bGR3D(?:_FREQ)? (?:\d+%)?@\[?(\d+(?:,\d+)*)\]?")
EMC = re.compile(r"\bEMC(?:_FREQ)? (?:\d+%)?@(\d+)")
MEMORY = re.compile(r"\bRAM (\d+)/\d+MB")
PATIENCE_S = 2.0
"""How long tegrastats may take to end."""


def parse(line: str) -> Reading:
    """A line of tegrastats. Of several values of a rail the first is the power now."""
    rails = {name: float(power) for name, power in RAIL.findall(line) if name != "NC"}
    zones = {name: float(celsius) for name, celsius in TEMPERATURE.findall(line)}
    temperatures = {name: celsius for name, celsius in zones.items() if believable(name, celsius)}
    memory = MEMORY.search(line)
    used = float(memory.group(1)) if memory else None
    return Reading(rails, temperatures, parse_clocks(line), used, {}, {}, None)


def parse_clocks(line: str) -> Dict[str, float]:
    """Clocks in MHz, as in Reading."""
    clocks: Dict[str, float] = {}
    cores = CORES.search(line)
    if cores:
        megahertz = [float(value) for value in [*re.findall(r"%@(\d+)", cores.group(1)), cores.group(2)] if value]
        if megahertz:
            clocks["cpu"] = max(megahertz)
    gpu, emc = GPU.search(line), EMC.search(line)
    if gpu:
        clocks["gpu"] = max(map(float, gpu.group(1).split(",")))
    if emc:
        clocks["emc"] = float(emc.group(1))
    return clocks


class Tegrastats:
    """A running tegrastats.

    Attributes:
        command: where it is.
        period_s: between two of its lines.
    """

    def __init__(self, command: str, period_s: float) -> None:
        interval = str(max(1, round(period_s * 1000)))
        self._latest: Optional[Reading] = None
        self._process = subprocess.Popen(
            [command, "--interval", interval],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._thread = threading.Thread(target=self._follow, name="tegrastats", daemon=True)
        self._thread.start()

    def take(self) -> Optional[Reading]:
        """The latest line, once: a line that was taken is no new measurement."""
        reading, self._latest = self._latest, None
        return reading

    def close(self) -> None:
        """End the program."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join(PATIENCE_S)

    def _follow(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._latest = parse(line.decode("utf-8", "replace"))

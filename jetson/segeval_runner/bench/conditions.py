"""What makes a measurement doubtful: other work, throttling, clocks or a power mode that change."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from segeval_runner.telemetry.reading import Row, series
from segeval_runner.telemetry.sysfs import text

OTHER_CORES = 0.2
"""Cores that other processes may keep busy. A desktop without load needs less than a tenth of this."""
CLOCK_CHANGE = 0.05
"""Change of a clock, relative to its median, that counts as none."""
CLOCK_TAIL = 0.05
"""Share of the samples at either end that is ignored: clocks may change for a moment."""
LEAST_SECONDS = 0.5
"""Window below which the kernel's clock ticks (10 ms on each core) say nothing about other work."""

Flag = Dict[str, str]


def flag(kind: str, detail: str) -> Flag:
    """A doubt about a run.

    Args:
        kind: a few words a program can match.
        detail: for people, with the numbers.
    """
    return {"kind": kind, "detail": detail}


class CpuTime(NamedTuple):
    """CPU seconds that all processes and this one have used since they started. busy: None if the kernel hides it."""

    moment: float
    busy: Optional[float]
    own: float

    @classmethod
    def now(cls, root: Path) -> CpuTime:
        """As the kernel counts them: everything but idling, waiting for input and output, and a host's other guests."""
        fields = (text(root / "proc/stat") or "").splitlines()[:1]
        ticks = fields[0].split()[1:] if fields and fields[0].startswith("cpu ") else []
        busy: Optional[float] = None
        if len(ticks) >= 7 and all(tick.isdigit() for tick in ticks[:7]):
            user, nice, system, _, _, interrupts, soft_interrupts = map(int, ticks[:7])
            busy = (user + nice + system + interrupts + soft_interrupts) / os.sysconf("SC_CLK_TCK")
        own = os.times()
        return cls(time.monotonic(), busy, own.user + own.system)


def other_cores(before: CpuTime, after: CpuTime) -> Optional[float]:
    """Cores that other processes kept busy in between, on average; None if unknown."""
    seconds = after.moment - before.moment
    if before.busy is None or after.busy is None or seconds < LEAST_SECONDS:
        return None
    return max(0.0, (after.busy - before.busy - (after.own - before.own)) / seconds)


def busy_flags(cores: Optional[float], when: str) -> List[Flag]:
    """Other work.

    Args:
        cores: that other processes kept busy, None if unknown.
        when: "before the run" or "during the run".
    """
    if cores is None or cores <= OTHER_CORES:
        return []
    return [flag("other work", "other processes kept {:.2f} cores busy {}".format(cores, when))]


def throttle_flags(summary: Dict[str, Any]) -> List[Flag]:
    """Cooling devices that slowed something down."""
    active = {name: states["most"] for name, states in summary["cooling"].items() if states["most"] > 0}
    return [flag("throttled", "{} was at state {:g}".format(name, state)) for name, state in active.items()]


def telemetry_flags(rows: List[Row], summary: Dict[str, Any]) -> List[Flag]:
    """What the telemetry of a run casts doubt on.

    Args:
        rows: telemetry of the run.
        summary: of the same rows, see Monitor.summary.
    """
    flags = throttle_flags(summary)
    for name, increase in summary["events"].items():
        if increase > 0:
            flags.append(flag("over-current", "{} counted {:g} events".format(name, increase)))
    if len(summary["power_modes"]) > 1:
        flags.append(flag("power mode changed", ", then ".join(summary["power_modes"])))
    for name in summary["clocks_mhz"]:
        change = clock_change(series(rows, "clocks_mhz", name))
        if change > CLOCK_CHANGE:
            flags.append(flag("clocks changed", "{} varied by {:.0%} of its median".format(name, change)))
    return flags


def clock_change(values: List[float]) -> float:
    """Range of a clock without its tails, relative to its median; 0 for one that stood still or was off."""
    ordered = sorted(values)
    tail = int(len(ordered) * CLOCK_TAIL)
    middle = ordered[len(ordered) // 2]
    return (ordered[len(ordered) - 1 - tail] - ordered[tail]) / middle if middle > 0 else 0.0

"""One reading of all sensors."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Tuple


class Reading(NamedTuple):
    """What was readable at one moment; what was not is absent.

    Attributes:
        rails_mw: power by rail.
        temperatures_c: by zone.
        clocks_mhz: of "cpu" (the fastest core), "gpu" and "emc".
        memory_mb: in use.
        cooling: state of each cooling device that slows something down, 0 when it does nothing.
        events: over-current events so far.
        power_mode: of nvpmodel.
    """

    rails_mw: Dict[str, float]
    temperatures_c: Dict[str, float]
    clocks_mhz: Dict[str, float]
    memory_mb: Optional[float]
    cooling: Dict[str, float]
    events: Dict[str, float]
    power_mode: Optional[str]


Row = Tuple[float, Reading]
"""A reading and when it was taken, in seconds of time.monotonic()."""


def series(rows: List[Row], part: str, name: str) -> List[float]:
    """Every value of one sensor.

    Args:
        rows: of the telemetry.
        part: a field of Reading that is a dictionary.
        name: of the sensor.
    """
    found = (getattr(reading, part).get(name) for _, reading in rows)
    return [value for value in found if value is not None]


def names(rows: List[Row], part: str) -> List[str]:
    """The sensors of a part that were readable at least once."""
    return sorted({name for _, reading in rows for name in getattr(reading, part)})

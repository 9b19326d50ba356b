"""Small files of the kernel. One that is missing, unreadable or not a number counts as absent, never as zero."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, Mapping, Optional

Sensor = Callable[[], Optional[float]]
"""Reads one value; None where it cannot be read now."""


def text(path: Path) -> Optional[str]:
    """The content without surrounding blanks and zero bytes."""
    try:
        return path.read_bytes().decode("utf-8", "replace").strip("\0 \t\r\n")
    except OSError:
        return None


def number(path: Path) -> Optional[float]:
    """The content as a number."""
    content = text(path)
    if not content:
        return None
    try:
        return float(content.split()[0])
    except ValueError:
        return None


def scaled(path: Path, factor: float) -> Sensor:
    """A sensor of one file: its number times `factor`."""

    def read() -> Optional[float]:
        value = number(path)
        return None if value is None else value * factor

    return read


def read_all(sensors: Mapping[str, Sensor]) -> Dict[str, float]:
    """The values that can be read now, by name."""
    values = ((name, read()) for name, read in sensors.items())
    return {name: value for name, value in values if value is not None}

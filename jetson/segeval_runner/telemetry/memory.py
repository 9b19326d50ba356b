"""Memory in use."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from segeval_runner.telemetry.sysfs import text


def used_mb(root: Path) -> Optional[float]:
    """MB (2**20 bytes) that are neither free nor could be freed at once. A Jetson's GPU uses the same memory."""
    kilobytes = {}
    for line in (text(root / "proc/meminfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name in ("MemTotal", "MemAvailable") and value.split()[:1] and value.split()[0].isdigit():
            kilobytes[name] = int(value.split()[0])
    if len(kilobytes) < 2:
        return None
    return (kilobytes["MemTotal"] - kilobytes["MemAvailable"]) / 1024

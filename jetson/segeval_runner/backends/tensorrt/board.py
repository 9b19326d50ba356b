"""What an engine depends on beside its file and the GPU: the Jetson it was built on, as it was then."""

from __future__ import annotations

from typing import Any, Dict

from segeval_runner import device
from segeval_runner.telemetry.power_mode import power_mode
from segeval_runner.telemetry.source import Machine

MACHINE = Machine()
"""Where to look."""

BUILD_SHARE = 4
"""Where CPU and GPU share memory, a build may use 1 / BUILD_SHARE of what is free."""


def board() -> Dict[str, Any]:
    """Release of Jetson Linux, which brings the driver, and nvpmodel's mode, which decides what is switched on.

    None for what is not there or cannot be read. Whether the clocks are pinned is not in it.
    """
    command = MACHINE.which("nvpmodel")
    return {"jetson_linux": device.jetson_linux(MACHINE.root), "power_mode": power_mode(MACHINE.root, command)}


def build_mb() -> int:
    """Most memory for building an engine now, in MB: on a Jetson a share of what is free; elsewhere 0, for no limit."""
    memory = device.memory(MACHINE.root)
    if memory is None or not device.is_jetson(MACHINE.root):
        return 0
    return max(1, memory["available"] // BUILD_SHARE)

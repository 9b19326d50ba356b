"""Where a replay ran."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any, Dict

import numpy as np

from segeval_runner import __version__, device
from segeval_runner.strict import printable


def usable_cores() -> int:
    """CPU cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_model() -> str:
    """The processor as Linux names it, else as Python does."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:  # noqa: PTH123
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() in ("model name", "Model"):
                    return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def environment(backends: Dict[str, str], threads: int, root: Path = Path("/")) -> Dict[str, Any]:
    """What a replay records about its machine.

    Args:
        backends: version of each engine that ran.
        threads: it was given.
        root: the folder that stands for ``/`` where the device's module, Jetson Linux and JetPack are looked for.
    """
    found = {
        "runner": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu": cpu_model(),
        "cores": usable_cores(),
        "threads": threads,
        "backends": backends,
        "device": device.identity(root),
    }
    return dict(printable(found))

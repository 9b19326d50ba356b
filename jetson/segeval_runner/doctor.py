"""What this machine has, and what is missing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Dict, List, Optional

from segeval_runner import device
from segeval_runner.backends import BACKENDS, load_backend
from segeval_runner.environment import environment, usable_cores
from segeval_runner.errors import BackendError
from segeval_runner.telemetry.clocks import pinned
from segeval_runner.telemetry.power_mode import power_mode as mode_now
from segeval_runner.telemetry.rails import find_hwmon_rails, find_iio_rails
from segeval_runner.telemetry.rapl import find_packages
from segeval_runner.telemetry.source import Machine
from segeval_runner.telemetry.sysfs import read_all

MODE_UNREADABLE = "not readable; sudo nvpmodel -q tells it"
NO_POWER = "not available: no power rails, tegrastats or RAPL can be read"
CLOCKS_FIRST = (
    "choose the power mode (nvpmodel -m) and pin them (jetson_clocks) before build: TensorRT chooses kernels by times "
    "that it measures then, and an engine of another mode is built anew"
)
LITTLE_MB = 2048
"""Free memory below which building an engine may fail."""
LITTLE_GB = 2.0


def examine(machine: Machine, folder: Path) -> Dict[str, Any]:
    """Everything that `doctor --json` says.

    A part that this machine does not have is None.

    Args:
        machine: to be examined.
        folder: where a bundle lies, whose disk counts.
    """
    works: Dict[str, str] = {}
    lacking: Dict[str, Dict[str, str]] = {}
    for name in BACKENDS:
        try:
            works[name] = load_backend(name).version()
        except BackendError as error:
            lacking[name] = {"problem": error.what, "remedy": error.hint}
    here = environment(works, usable_cores())
    root = machine.root
    return {
        **{key: here[key] for key in here if key not in ("backends", "threads", "device")},
        "model": device.model(root),
        "jetson_linux": device.jetson_linux(root),
        "jetpack": device.jetpack(root),
        "libraries": device.libraries(root),
        "memory_mb": device.memory(root),
        "power_mode": power_mode(machine),
        "clocks_pinned": pinned(root),
        "power": power(machine),
        "free_gb": free_gb(folder),
        "backends": works,
        "missing_backends": lacking,
    }


def power_mode(machine: Machine) -> Optional[str]:
    """The mode that nvpmodel set, why it cannot be read, or None where there is no nvpmodel."""
    command = machine.which("nvpmodel")
    return mode_now(machine.root, command) or (MODE_UNREADABLE if command else None)


def power(machine: Machine) -> str:
    """The power source that bench will use."""
    for name, find in (("hwmon", find_hwmon_rails), ("iio", find_iio_rails)):
        rails = read_all(find(machine.root))
        if rails:
            return "{} rails {}".format(name, ", ".join(sorted(rails)))
    if machine.which("tegrastats"):
        return "tegrastats"
    return "RAPL" if find_packages(machine.root) else NO_POWER


def free_gb(folder: Path) -> Optional[float]:
    """Free space of a folder's disk."""
    try:
        return round(shutil.disk_usage(str(folder)).free / 1e9, 1)
    except OSError:
        return None


def told(facts: Dict[str, Any]) -> List[str]:
    """The same as lines of text: what is there first, then the backends, then what deserves attention."""
    plain = ("runner", "python", "numpy", "platform", "machine", "cpu", "cores", "model", "power_mode", "power")
    lines = ["{}: {}".format(name.replace("_", " "), facts[name]) for name in plain if facts[name] is not None]
    if facts["jetson_linux"]:
        lines.append("JetPack: {} (Jetson Linux {})".format(facts["jetpack"] or "unknown", facts["jetson_linux"]))
    if facts["libraries"]:
        lines.append("libraries: {}".format(", ".join(facts["libraries"].values())))
    if facts["memory_mb"]:
        lines.append("memory: {available} of {total} MB available".format(**facts["memory_mb"]))
    lines.append("free disk: {}".format("unknown" if facts["free_gb"] is None else "{} GB".format(facts["free_gb"])))
    lines += ["backend {}: {}".format(name, version) for name, version in facts["backends"].items()]
    for name, lack in facts["missing_backends"].items():
        lines.append("backend {}: {}\n  {}".format(name, lack["problem"], lack["remedy"]))
    return lines + ["attention: {}".format(warning) for warning in warnings(facts)]


def warnings(facts: Dict[str, Any]) -> List[str]:
    """Warnings of failures and of meaningless numbers."""
    found = []
    if not facts["backends"]:
        found.append("no backend works here: nothing can be replayed")
    elif facts["jetson_linux"] and "tensorrt" not in facts["backends"]:
        found.append("on a Jetson, TensorRT is the engine to measure; what is missing is listed above")
    if facts["jetson_linux"] and facts["clocks_pinned"] is not True:
        found.append("the clocks are not known to be pinned; " + CLOCKS_FIRST)
    if facts["memory_mb"] and facts["memory_mb"]["available"] < LITTLE_MB:
        found.append("less than {} MB of memory are available; building an engine may fail".format(LITTLE_MB))
    if facts["free_gb"] is not None and facts["free_gb"] < LITTLE_GB:
        found.append("less than {} GB are free on this disk".format(LITTLE_GB))
    return found

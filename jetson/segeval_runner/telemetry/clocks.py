"""Clocks of the CPU, the GPU and the memory controller (EMC)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, Optional

from segeval_runner.telemetry.sysfs import Sensor, number, scaled, text

GPU = re.compile(r"gpu|g[abpmv]\d\d\w", re.IGNORECASE)
"""Devices that are a Jetson's GPU: 57000000.gpu, 17000000.gp10b, gv11b, ga10b, gpu-gpc-0."""
EMC = ("sys/kernel/debug/bpmp/debug/clk/emc/rate", "sys/kernel/debug/clk/emc/clk_rate")
"""In Hz; most systems let only root read them."""


def pinned(root: Path) -> Optional[bool]:
    """Whether CPU and GPU are held at one clock, as jetson_clocks holds them; None if no limit can be read."""
    cores = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"))
    limits = [(core / "scaling_min_freq", core / "scaling_max_freq") for core in cores]
    gpus = filter(is_gpu, sorted((root / "sys/class/devfreq").glob("*")))
    limits += [(gpu / "min_freq", gpu / "max_freq") for gpu in gpus]
    found = [(number(least), number(most)) for least, most in limits]
    known = [least == most for least, most in found if least is not None and most is not None]
    return all(known) if known else None


def find_clocks(root: Path) -> Dict[str, Sensor]:
    """Sensors in MHz: "cpu", the fastest core, since idle cores slow down at will; "gpu"; "emc"."""
    found: Dict[str, Sensor] = {}
    cores = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))
    if cores:
        found["cpu"] = fastest(cores, 1e-3)
    gpus = [folder / "cur_freq" for folder in sorted((root / "sys/class/devfreq").glob("*")) if is_gpu(folder)]
    if gpus:
        found["gpu"] = fastest(gpus, 1e-6)
    for file in (root / name for name in EMC):
        if number(file) is not None:
            found["emc"] = scaled(file, 1e-6)
            break
    return found


def is_gpu(folder: Path) -> bool:
    """Whether a devfreq device is a GPU, by its own name or that of its device."""
    return bool(GPU.search(folder.name) or GPU.search(text(folder / "device/of_node/name") or ""))


def fastest(files: List[Path], factor: float) -> Sensor:
    """The highest of several clocks; a core that is off has none."""

    def read() -> Optional[float]:
        values = [value for value in map(number, files) if value is not None]
        return max(values) * factor if values else None

    return read

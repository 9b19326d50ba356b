"""Which device this is: module, JetPack, NVIDIA's libraries. Everything is read from files, nothing is changed.

Every function takes `root`, the folder that stands for ``/``; what is not there or not readable is None or empty.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, Optional

from segeval_runner.telemetry.sysfs import text

JETPACKS = {"35": "5", "36": "6", "38": "7", "39": "7"}
"""Generation of JetPack by the generation of Jetson Linux."""

LIBRARIES = ("libcudart", "libnvinfer", "libnvonnxparser", "libcudnn")
FOLDERS = (
    "usr/lib/aarch64-linux-gnu",
    "usr/lib/x86_64-linux-gnu",
    "usr/local/cuda/lib64",
    "usr/local/cuda/targets/*/lib",
    "usr/local/cuda-*/targets/*/lib",
)


def model(root: Path) -> Optional[str]:
    """The module, such as "NVIDIA Jetson Orin Nano Developer Kit"."""
    return text(root / "proc/device-tree/model") or text(root / "sys/firmware/devicetree/base/model") or None


def jetson_linux(root: Path) -> Optional[str]:
    """Release of Jetson Linux (L4T), such as "36.4.3"."""
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", text(root / "etc/nv_tegra_release") or "")
    return "{}.{}".format(*found.groups()) if found else None


def jetpack(root: Path) -> Optional[str]:
    """Version of JetPack: of its package if that is installed, else the generation that the Jetson Linux belongs to."""
    packages = text(root / "var/lib/dpkg/status") or ""
    for paragraph in packages.split("\n\n") if "nvidia-jetpack" in packages else []:
        if paragraph.startswith("Package: nvidia-jetpack\n") and "\nStatus: install ok installed" in paragraph:
            found = re.search(r"^Version: (\S+)", paragraph, re.MULTILINE)
            if found:
                return found.group(1)
    return JETPACKS.get((jetson_linux(root) or "").partition(".")[0])


def is_jetson(root: Path) -> bool:
    """Whether this is a Jetson; in a container the release file may be missing, but not the model."""
    return jetson_linux(root) is not None or "Jetson" in (model(root) or "")


def identity(root: Path) -> Dict[str, str]:
    """Module, Jetson Linux and JetPack by the names "model", "jetson_linux" and "jetpack", as far as there are such."""
    found = {"model": model(root), "jetson_linux": jetson_linux(root), "jetpack": jetpack(root)}
    return {name: value for name, value in found.items() if value is not None}


def libraries(root: Path) -> Dict[str, str]:
    """File name of the newest CUDA runtime, TensorRT, its ONNX parser and cuDNN that is installed, by library."""
    found: Dict[str, str] = {}
    for library in LIBRARIES:
        pattern = library + ".so.*"
        names = [path.name for folder in FOLDERS for path in root.glob(folder + "/" + pattern)]
        if names:
            found[library] = max(names, key=version_in)
    return found


def version_in(name: str) -> List[int]:
    """The numbers after ".so." in the name of a library, to compare by."""
    return [int(number) for number in re.findall(r"\d+", name.partition(".so.")[2])]


def memory(root: Path) -> Optional[Dict[str, int]]:
    """Memory in MB, "total" and "available"; on a Jetson the GPU has the same."""
    found = dict(re.findall(r"^(MemTotal|MemAvailable):\s+(\d+) kB", text(root / "proc/meminfo") or "", re.MULTILINE))
    if len(found) != 2:
        return None
    return {"total": int(found["MemTotal"]) // 1024, "available": int(found["MemAvailable"]) // 1024}

"""The runner on an aarch64 processor, emulated: do the label maps agree with those of x86?

    make check-aarch64                      # or: python benchmarks/aarch64.py [--images 6] [--work build/aarch64]

Makes a small bundle of synthetic scenes, replays it here with the ONNX Runtime of this environment, here with ONNX
Runtime 1.20.1, and with the aarch64 build of 1.20.1 under qemu-user, each time by the bundle's own runner.pyz. The
first run needs root, for debootstrap, and apt-get install debootstrap qemu-user-static; later ones use what lies in
--work. It says nothing about speed.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from segeval.deploy import deploy
from segeval.errors import MissingPrerequisiteError, SegevalError
from segeval.files.replays import Replay
from segeval.files.sets import CraftConfig
from segeval.generate.crafting.craft import Crafter
from segeval.progress import silent

QEMU, DEBOOTSTRAP = "qemu-aarch64-static", "debootstrap"
SUITE, MIRROR = "bookworm", "http://deb.debian.org/debian"
PYTHON = "3.11"
"""Of Debian 12."""
WHEELS = ("numpy==1.26.4", "onnxruntime==1.20.1")
"""Later builds of ONNX Runtime for aarch64 crash under qemu-user (seen with 1.28)."""
HERE, OLD, EMULATED = "x86", "x86-1.20.1", "aarch64-1.20.1"
AGREEMENT = {"fp32": 0.999, "fp16": 0.99, "int8": 0.95}
"""Least share of equal pixels. Processors add sums in another order; in int8 a last digit can become a whole step; and
ONNX Runtime uses the fp16 arithmetic that an aarch64 processor may have, but computes fp16 files in fp32 on x86."""


def main() -> int:
    """Make, replay three times, compare, print. Returns 1 if a precision agrees less than it should."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--work", type=Path, default=Path("build/aarch64"))
    options.add_argument("--images", type=int, default=6, help="scenes to attack")
    options.add_argument("--cpu", default="max", help="processor that qemu emulates, such as cortex-a57, cortex-a76")
    given = options.parse_args()
    work: Path = given.work.resolve()
    try:
        root = debian(work / "rootfs")
        bundle = small_bundle(work / "run", given.images)
        guest = [QEMU, "-cpu", given.cpu, "-L", str(root), str(root / f"usr/bin/python{PYTHON}")]
        replays = {
            HERE: replayed(bundle, work / "run" / HERE, [sys.executable], None),
            OLD: replayed(bundle, work / "run" / OLD, [sys.executable], wheels(work / "x86", platform.machine())),
            EMULATED: replayed(bundle, work / "run" / EMULATED, guest, wheels(work / "guest", "aarch64", PYTHON)),
        }
        return compare(replays)
    except SegevalError as error:
        print(f"error: {error.what}\n  {error.hint}", file=sys.stderr)
        return error.exit_code


def debian(root: Path) -> Path:
    """An arm64 Debian with Python, unpacked and not configured: nothing of it needs to be installed to run Python."""
    for tool in (QEMU, DEBOOTSTRAP):
        if shutil.which(tool) is None:
            hint = "apt-get install debootstrap qemu-user-static"
            raise MissingPrerequisiteError(f"{tool} is not installed", hint)
    ready = root / "unpacked"
    if not ready.exists():
        if os.geteuid() != 0:
            raise MissingPrerequisiteError("debootstrap needs root", "run it once with sudo")
        shutil.rmtree(root, ignore_errors=True)
        words = ["--foreign", "--arch=arm64", "--variant=minbase", "--include=python3,libstdc++6"]
        subprocess.run([DEBOOTSTRAP, *words, SUITE, str(root), MIRROR], check=True, stdout=subprocess.DEVNULL)
        for package in sorted((root / "var/cache/apt/archives").glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", str(package), str(root)], check=True)
        ready.touch()
    return root


def wheels(folder: Path, machine: str, python: str = platform.python_version()) -> Path:
    """numpy and ONNX Runtime for a processor, unpacked from the package registry's wheels."""
    if not (folder / "onnxruntime").exists():
        tags = [f"--platform=manylinux{tag}_{machine}" for tag in ("2014", "_2_17", "_2_27", "_2_28")]
        words = ["--quiet", "--no-deps", "--only-binary=:all:", f"--python-version={python}", *tags]
        command = [sys.executable, "-m", "pip", "download", *words, "--dest", str(folder / "wheels"), *WHEELS]
        subprocess.run(command, check=True)
        for wheel in (folder / "wheels").glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder)
    return folder


def small_bundle(folder: Path, images: int) -> Path:
    """Synthetic scenes of 64x128, attacked a little, with an ESPNet and a Fast-SCNN at every precision."""
    shutil.rmtree(folder, ignore_errors=True)
    models = ("espnet-synthetic", "fast-scnn-synthetic")
    config = CraftConfig("synthetic", models, attacks=("fgsm",), limit=images, size=(64, 128), steps=3)
    Crafter(config, folder / "set").run(False, silent)
    deploy(folder / "set", folder / "bundle", calibration_images=8)
    return folder / "bundle"


def replayed(bundle: Path, out: Path, python: list[str], packages: Path | None) -> Replay:
    """The bundle's own runner.pyz in that Python. packages: folder that goes before what is installed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment.update({"PYTHONPATH": str(packages)} if packages else {})
    words = ["replay", "--out", str(out), "--threads", "1", "--warmup", "0", "--backend", "onnxruntime"]
    subprocess.run([*python, str(bundle / "runner.pyz"), *words], check=True, env=environment)
    return Replay.open(out)


def agreements(one: Replay, other: Replay, engine: str) -> Iterator[float]:
    """Share of equal pixels, per image."""
    for key in one.results(engine).keys:
        yield float(np.mean(one.labels(engine, key) == other.labels(engine, key)))


def compare(replays: dict[str, Replay]) -> int:
    """Print which replays agree how far, as the table of docs/aarch64.md."""
    for name, replay in replays.items():
        machine = replay.record.environment
        backends = ", ".join(f"{key} {version}" for key, version in machine.backends.items())
        print(f"{name}: {machine.machine}, Python {machine.python}, numpy {machine.numpy}, {backends}")
    pairs = ((EMULATED, OLD), (EMULATED, HERE), (OLD, HERE))
    print("\n| engine | images | " + " | ".join(f"{one} = {other}" for one, other in pairs) + " |")
    print("|---|---:|" + "---:|" * len(pairs))
    missed = []
    for engine in replays[HERE].engines:
        cells = []
        for one, other in pairs:
            found = list(agreements(replays[one], replays[other], engine.name))
            cells.append(f"{np.mean(found):.5f} (worst {min(found):.5f})")
            if np.mean(found) < AGREEMENT[engine.precision]:
                missed.append(f"{engine.name}: {one} and {other} agree on {np.mean(found):.5f} of the pixels")
        print(f"| {engine.name} | {engine.inputs} | {' | '.join(cells)} |")
    for line in missed:
        print(line, file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

"""What doctor says of machines that are not here: folders that look like theirs."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segeval.files.encoding import decode, encode
from segeval.files.replays import Environment
from segeval_runner import device, doctor
from segeval_runner.backends import BACKENDS
from segeval_runner.cli import main
from segeval_runner.doctor import LITTLE_MB, MODE_UNREADABLE, NO_POWER, examine, told, warnings
from segeval_runner.environment import environment
from segeval_runner.telemetry import Machine

Facts = dict[str, Any]

ORIN = {
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
    "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n",
    "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=15W >\n< POWER_MODEL ID=1 NAME=7W >\n",
    "var/lib/nvpmodel/status": "pmode:0001",
    "proc/meminfo": "MemTotal:        7802004 kB\nMemFree:  100 kB\nMemAvailable:    6011000 kB\n",
    "usr/lib/aarch64-linux-gnu/libnvinfer.so.10": "",
    "usr/lib/aarch64-linux-gnu/libnvinfer.so.10.3.0": "",
    "usr/local/cuda-12.6/targets/aarch64-linux/lib/libcudart.so.12.6.68": "",
    "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/in1_label": "VDD_IN",
    "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/in1_input": "5000",
    "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/curr1_input": "900",
    "var/lib/dpkg/status": (
        "Package: adduser\nStatus: install ok installed\nVersion: 3.118\n\n"
        "Package: nvidia-jetpack\nStatus: install ok installed\nPriority: standard\nVersion: 6.2+b77\n"
    ),
}


@pytest.fixture
def machine(tmp_path: Path) -> Callable[..., Machine]:
    """A file system with these files, and no programs but the named ones, which say nothing and fail."""

    def make(files: dict[str, str], *programs: str) -> Machine:
        root = tmp_path / "root"
        shutil.rmtree(root, ignore_errors=True)
        (root / "bin").mkdir(parents=True)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        for program in programs:
            (root / "bin" / program).write_text("#!/bin/sh\nexit 1\n")
            (root / "bin" / program).chmod(0o755)
        return Machine(root, str(root / "bin"))

    return make


def test_a_jetson_is_recognised_from_its_files(machine: Callable[..., Machine], tmp_path: Path) -> None:
    facts = examine(machine(ORIN), tmp_path)
    assert facts["model"] == "NVIDIA Jetson Orin Nano Developer Kit"
    assert (facts["jetson_linux"], facts["jetpack"]) == ("36.4.3", "6.2+b77")
    assert facts["libraries"] == {"libcudart": "libcudart.so.12.6.68", "libnvinfer": "libnvinfer.so.10.3.0"}
    assert facts["memory_mb"] == {"total": 7619, "available": 5870}
    assert facts["power_mode"] == "7W (1)"
    assert facts["power"] == "hwmon rails VDD_IN"
    said = told(facts)
    assert "model: NVIDIA Jetson Orin Nano Developer Kit" in said
    assert "JetPack: 6.2+b77 (Jetson Linux 36.4.3)" in said
    assert "libraries: libcudart.so.12.6.68, libnvinfer.so.10.3.0" in said
    assert "memory: 5870 of 7619 MB available" in said


def test_a_record_names_the_device_it_was_made_on(machine: Callable[..., Machine]) -> None:
    there = environment({}, 1, machine(ORIN).root)["device"]
    assert there == {
        "model": "NVIDIA Jetson Orin Nano Developer Kit",
        "jetson_linux": "36.4.3",
        "jetpack": "6.2+b77",
    }
    assert environment({}, 1, machine({}).root)["device"] == {}
    read = decode(encode(environment({}, 1, machine(ORIN).root)), Environment, "environment")
    assert read.name == "NVIDIA Jetson Orin Nano Developer Kit, JetPack 6.2+b77"
    assert decode(encode(environment({}, 1, machine({}).root)), Environment, "environment").name == read.cpu


@pytest.mark.parametrize(
    ("release", "linux", "generation"),
    [
        ("# R35 (release), REVISION: 4.1, GCID: 1", "35.4.1", "5"),
        ("# R36 (release), REVISION: 3.0, GCID: 1", "36.3.0", "6"),
        ("# R38 (release), REVISION: 2.0, GCID: 1", "38.2.0", "7"),
        ("# R99 (release), REVISION: 1.0, GCID: 1", "99.1.0", None),
        ("something else", None, None),
    ],
)
def test_without_its_package_the_generation_of_jetpack_follows_from_jetson_linux(
    machine: Callable[..., Machine], release: str, linux: str | None, generation: str | None
) -> None:
    root = machine({"etc/nv_tegra_release": release}).root
    assert (device.jetson_linux(root), device.jetpack(root)) == (linux, generation)


def test_a_package_that_was_removed_is_not_installed(machine: Callable[..., Machine]) -> None:
    status = ORIN["var/lib/dpkg/status"].replace(
        "install ok installed\nPriority", "deinstall ok config-files\nPriority"
    )
    assert device.jetpack(machine({**ORIN, "var/lib/dpkg/status": status}).root) == "6"


def test_the_newest_library_counts(machine: Callable[..., Machine]) -> None:
    folder = "usr/local/cuda-{0}/targets/aarch64-linux/lib/libcudart.so.{0}"
    root = machine({folder.format("9.9"): "", folder.format("12.10"): "", folder.format("12.9"): ""}).root
    assert device.libraries(root) == {"libcudart": "libcudart.so.12.10"}


def test_an_unreadable_power_mode_is_not_a_missing_one(machine: Callable[..., Machine]) -> None:
    assert doctor.power_mode(machine({}, "nvpmodel")) == MODE_UNREADABLE
    assert doctor.power_mode(machine({})) is None
    assert doctor.power(machine({})) == NO_POWER
    assert doctor.power(machine({}, "tegrastats")) == "tegrastats"


def test_on_another_machine_nothing_of_a_jetson_is_said(machine: Callable[..., Machine], tmp_path: Path) -> None:
    facts = examine(machine({}), tmp_path)
    for part in ("model", "jetson_linux", "jetpack", "memory_mb", "power_mode"):
        assert facts[part] is None
    said = "\n".join(told(facts))
    assert "JetPack" not in said and "model:" not in said and "None" not in said
    assert f"python: {sys.version.split()[0]}" in said


def test_every_backend_works_or_says_what_would_add_it(machine: Callable[..., Machine], tmp_path: Path) -> None:
    facts = examine(machine({}), tmp_path)
    assert {*facts["backends"], *facts["missing_backends"]} == set(BACKENDS)
    assert "onnxruntime" in facts["backends"]
    for lack in facts["missing_backends"].values():
        assert lack["problem"] and lack["remedy"]


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({}, ""),
        ({"backends": {}}, "no backend works here"),
        ({"backends": {"onnxruntime": "1"}}, "TensorRT is the engine to measure"),
        ({"backends": {"onnxruntime": "1"}, "jetson_linux": None}, ""),
        ({"memory_mb": {"total": 4000, "available": LITTLE_MB - 1}}, "building an engine may fail"),
        ({"clocks_pinned": False}, "before build"),
        ({"clocks_pinned": None}, "before build"),
        ({"clocks_pinned": None, "jetson_linux": None}, ""),
        ({"free_gb": 0.5}, "are free on this disk"),
        ({"free_gb": None}, ""),
    ],
)
def test_what_will_go_wrong_is_said(changes: Facts, warning: str) -> None:
    fine: Facts = {
        "backends": {"tensorrt": "10.3"},
        "jetson_linux": "36.4.3",
        "clocks_pinned": True,
        "memory_mb": None,
        "free_gb": 9.0,
    }
    found = warnings({**fine, **changes})
    assert len(found) == bool(warning)
    assert not found or warning in found[0]


def test_the_command_says_it_as_text_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["backends"]["onnxruntime"]
    assert facts["free_gb"] > 0
    assert main(["doctor"]) == 0
    assert f"cores: {facts['cores']}" in capsys.readouterr().out

"""The walk of docs/own-engine.md with an engine on a Jetson, typed as it stands there, over a real sshd."""

import csv
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from segeval.cli import run
from tests.deploy.ssh.conftest import Server
from tests.graphs.given.networks import export, image_of
from tests.walks import DOCS, save_pictures, section, typed

Call = Callable[..., tuple[str, str]]
SHAPE = (1, 3, 32, 64)
MEANS = np.array([31.467, 14.4585, 22.7205])
"""Of red, green and blue, 0 to 255: no two channels are as far above them."""
CARD = """
[source]
onnx = "mynet.onnx"
[input]
layout = "NCHW"
colour = "RGB"
range = 1
[output]
kind = "logits"
[classes]
names = ["road", "car", "sky"]
"""
ENGINE_CARD = f"""
[input]
layout = "NCHW"
colour = "BGR"
range = 255
mean = {MEANS[::-1].tolist()}
[output]
kind = "logits"
classes = ["sky", "car", "road"]
"""


@pytest.fixture
def device_python(tmp_path: Path) -> Path:
    """The Python of a device that has TensorRT, played by doubles of what its bindings know."""
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed: pip install '.[rtx]'")
    folder = tmp_path / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    cache = f"import os; os.environ['XDG_CACHE_HOME'] = {str(tmp_path / 'cache')!r}"
    (packages / "here.pth").write_text("\n".join([cache, str(DOCS.parent), *filter(None, sys.path)]))
    (packages / "tensorrt.py").write_text("from tests.tensorrt_api.on_device import install\n\ninstall()\n")
    return folder / "bin/python"


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """Stdout and stderr of a command line that ends well."""

    def called(*words: object) -> tuple[str, str]:
        capfd.readouterr()
        code, (out, err) = run([str(word) for word in words]), capfd.readouterr()
        assert code == 0, err
        return out, err

    return called


def brightest() -> nn.Module:
    """A network whose label is the brightest channel, as far as it is above the mean."""
    network = nn.Conv2d(3, 3, 1)
    network.weight.data, network.bias = (
        torch.eye(3)[:, :, None, None],
        nn.Parameter(-torch.tensor(MEANS, dtype=torch.float32) / 255),
    )
    return network


@pytest.mark.long
def test_an_engine_on_a_jetson(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch, server: Server, device: Path, device_python: Path
) -> None:
    """The engine takes blue first, less its means, and names its classes in the order of its channels."""
    from tests.tensorrt_api.on_device import engine_file

    monkeypatch.chdir(tmp_path)
    export(Path("mynet.onnx"), brightest(), SHAPE)
    Path("mynet.toml").write_text(CARD)
    Path("net.engine").write_bytes(engine_file([("x", "FLOAT", SHAPE), ("y", "FLOAT", SHAPE)]))
    Path("net.toml").write_text(ENGINE_CARD)
    dull = [(image_of(seed, *SHAPE[2:]) // 32 + MEANS).astype(np.uint8) for seed in range(2)]
    save_pictures(Path("pictures"), dull, lambda image: (image - MEANS).argmax(-1).astype(np.uint8))
    Path("pictures/classes.txt").write_text("road\ncar\nsky\n")
    crafting = ("--dataset", "folder", "--data-root", "pictures", "--model", "mynet.toml", "--task", "car:road")
    call("craft", "--out", "runs/set", *crafting, "--scope", "full", "--steps", 10, "--attack", "fgsm", "--workers", 1)
    (commands,) = section("own-engine.md", "An engine on a Jetson")
    deploying, shipping, replaying, evaluating = typed(commands)
    shipping[shipping.index("--host") + 1] = "alpha"
    _, said = call(*deploying)
    assert "mynet.trt: a built engine is run and checked on its device" in said
    there = ("--remote-dir", device, "--remote-python", device_python, "--ssh-config", server.config)
    shown, _ = call(*shipping, *there)
    assert re.search(r"alpha +mynet\.trt +tensorrt", shown)
    _, said = call(*replaying)
    assert "not run: mynet.trt" in said
    call(*evaluating)
    with Path("runs/report/survival.csv").open(newline="") as file:
        (row,) = [row for row in csv.DictReader(file) if row["own"] == "trt"]
    assert float(row["desktop_success_mean"]) > 0.05 and row["survival_mean"] == "1.0"
    assert row["changed_mean"] == "0.0", "prepared as its card says, it gives the labels of the desktop"

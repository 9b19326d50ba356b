"""The walk of docs/own-network.md with a PyTorch module, typed as it stands there."""

import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from tests.graphs.given.networks import MEAN, STD, image_of
from tests.walks import save_pictures, section, typed

Call = Callable[..., Any]
SIZE, CLASSES = (32, 64), 19
MODULE = """
import torch
from torch import nn
from parts import Block

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.body, self.head = nn.Sequential(Block(3, 16), Block(16, 16)), nn.Conv2d(16, classes, 1)
        nn.init.normal_(self.head.weight, std=1.0)
        self.head.bias.data[[0, 13]] += 2  # road and car are what it sees most

    def forward(self, x):
        return {"aux": x.mean(), "out": self.head(self.body(x))}

def build(classes):
    return Net(classes)
"""
PARTS = """
from torch import nn

class Block(nn.Sequential):
    def __init__(self, given, made):
        super().__init__(nn.Conv2d(given, made, 3, 2, 1), nn.BatchNorm2d(made), nn.ReLU())
"""


def network() -> nn.Module:
    """What the module of the user's builds, when Python runs both files by themselves."""
    found: dict[str, Any] = {}
    exec(PARTS + MODULE.replace("from parts import Block", ""), found)
    built: nn.Module = found["build"](CLASSES)
    return built.eval()


def plain_labels(network: nn.Module, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What PyTorch alone makes of an image, prepared and resized as the network's author does."""
    normal = torch.from_numpy(((image / 255 - MEAN) / STD).astype(np.float32)).permute(2, 0, 1)[None]
    with torch.no_grad():
        scores = network(normal)["out"]
    large = functional.interpolate(scores, image.shape[:2], mode="bilinear", align_corners=False)
    return large.argmax(1)[0].numpy().astype(np.uint8)


def test_a_pytorch_module(tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    card, commands, *_ = section("own-network.md", "From a PyTorch module")
    for name, text in {"mynet.py": MODULE, "parts.py": PARTS, "mynet.toml": card}.items():
        Path(name).write_text(text)
    torch.manual_seed(0)
    trained = network()
    torch.save(trained.state_dict(), "mynet.pth")
    save_pictures(Path("pictures"), [image_of(seed, *SIZE) for seed in range(2)], partial(plain_labels, trained))
    Path("pictures/classes.txt").write_text("cityscapes\n")
    said = {}
    for words in typed(commands):
        said[words[0]] = ended = call(*words, *(["--workers", 1] if words[0] == "craft" else []))
        assert ended.code == 0, ended.err
    assert "clean mIoU on 2 images: 100.0 %" in said["model"].out and "warning" not in said["model"].out
    assert "--allow ./mynet.py:build" in said["craft"].err
    with Path("runs/report/survival.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["precision"] == "fp32"]
    found = [(row["attack"], row["survival_mean"], float(row["desktop_success_mean"]) > 0.1) for row in rows]
    assert found == [("tanh-local", "1.0", True), ("tanh-full", "1.0", True)]

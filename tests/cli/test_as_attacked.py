"""Code of the user's may read what no hash covers: a network that shows something else by now is not deployed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

CODE = """
from pathlib import Path
from torch import nn

class Net(nn.Conv2d):
    def forward(self, images):
        return super().forward(images) * float(Path(__file__).with_name("sign.txt").read_text())

def net():
    return Net(3, 3, 3, padding=1)
"""
CARD = """
[source]
factory = "./mine.py:net"
[input]
layout = "NCHW"
colour = "RGB"
range = 1
[output]
kind = "logits"
[classes]
names = ["road", "car", "sky"]
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder with a network whose answer depends on a file that its code reads, and an image."""
    for name, text in {"mine.py": CODE, "mine.toml": CARD, "sign.txt": "1"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "data").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "data" / "one.png")
    return tmp_path


def test_a_network_that_shows_something_else_by_now_is_not_deployed(mine: Path, call: Callable[..., Any]) -> None:
    options = ("--dataset", "folder", "--data-root", mine / "data", "--task", "untargeted", "--scope", "local")
    crafting = ("craft", "--out", mine / "set", *options, "--model", mine / "mine.toml", "--steps", "1")
    ended = call(*crafting, "--workers", "1")
    assert ended.code == 0, ended.err
    deploying = ("deploy", mine / "set", "--out", mine / "bundle", "--precision", "fp32", "--allow", "./mine.py:net")
    (mine / "sign.txt").write_text("-1")
    ended = call(*deploying)
    assert ended.code == 2 and "mine is another network than when it was attacked" in " ".join(ended.err.split())
    assert not (mine / "bundle").exists()
    (mine / "sign.txt").write_text("1")
    ended = call(*deploying)
    assert ended.code == 0, ended.err

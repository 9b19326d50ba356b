"""The images of the check: drawn street scenes, small."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from segeval.datasets.synthetic import render_scene

SIZE = (128, 256)
"""(height, width)."""
ATTACKED, CALIBRATING = 2, 8
"""Images of the test split, and of the train split."""


def write_folder(root: Path) -> None:
    """A `folder` dataset without masks: its classes are those of every network."""
    for split, seeds in {"test": range(ATTACKED), "train": range(ATTACKED, ATTACKED + CALIBRATING)}.items():
        (root / "images" / split).mkdir(parents=True)
        for seed in seeds:
            Image.fromarray(render_scene(seed, *SIZE).image).save(root / "images" / split / f"{seed}.png")


def batch() -> Tensor:
    """(N, 3, H, W) in [0, 1]."""
    images = [render_scene(seed, *SIZE).image for seed in range(ATTACKED, ATTACKED + CALIBRATING)]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255

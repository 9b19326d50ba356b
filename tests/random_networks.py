"""Registered networks with random weights: they need no file, and answer with many labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from segeval.files.images import RgbImage
from segeval.models import Segmenter
from segeval.models.loading import build_network, load_spec


def random_network(name: str, images: Tensor, seed: int = 3) -> Segmenter:
    """A network whose batch statistics fit images (N, 3, H, W) in [0, 1], so that its pixels differ."""
    torch.manual_seed(seed)
    spec = load_spec(name)
    segmenter = Segmenter(spec, build_network(spec, None))
    for module in segmenter.network.train().modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the plain mean: one pass is enough
    with torch.no_grad():
        segmenter.network(segmenter.normalise(images))
    segmenter.eval()
    return segmenter


def batch_of(pictures: Sequence[RgbImage]) -> Tensor:
    """8-bit images (H, W, 3) as (N, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) / 255


def never_says(weight: Tensor, absent: int) -> None:
    """Let the last layer of ESPNet never give a class: a mean of logits is never the largest, nor as large."""
    others = [index for index in range(weight.shape[1]) if index != absent]
    weight[:, absent] = weight[:, others].mean(1)


def save_weights(network: nn.Module, file: Path) -> Path:
    """Write the parameters of a network as safetensors; returns the file."""
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, file)
    return file

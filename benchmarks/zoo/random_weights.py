"""Random weights with which a network tells pixels apart: its batch normalizations know the images."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from segeval.models.cards import load_card
from segeval.models.cards.adapters import Adapted

FILE = "random.safetensors"


def settle(network: nn.Module, images: Tensor) -> None:
    """Give the batch normalizations of a network the statistics of normalized images (N, 3, H, W)."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean: one pass is enough
        norm.train()
    with torch.no_grad():
        network(images)
    network.eval()


def with_weights(card: Path, folder: Path, images: Tensor) -> Path:
    """A copy of a factory's card that names a file of random weights, which is written beside it.

    Args:
        card: of the zoo.
        folder: for both.
        images: (N, 3, H, W) in [0, 1].
    """
    segmenter = load_card(str(card))
    network = segmenter.network
    assert isinstance(network, Adapted)
    settle(network, segmenter.normalise(images))
    state = {name: value.clone().contiguous() for name, value in network.inner.state_dict().items()}
    save_file(state, folder / FILE)
    copy = folder / card.name
    copy.write_text(card.read_text().replace("[source]\n", f'[source]\nweights = "{FILE}"\n', 1))
    return copy

"""What an attack needs from a network, whether in PyTorch or read from a deployed file."""

from typing import Protocol

from torch import Tensor

from segeval.models.spec import ModelSpec


class Network(Protocol):
    """Images in, logits out, with a gradient.

    Attributes:
        spec: its classes, and its name.
    """

    spec: ModelSpec

    def __call__(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) RGB in [0, 1] to logits (N, C, H, W)."""
        ...

"""Logits with the pixels last in memory, which is what losses and labels are fastest on."""

from typing import Any

import torch
from torch import Tensor

MANY = 12
"""Classes from which on a transposed copy is faster on the CPU (docs/speed.md)."""


class PixelsLast(torch.autograd.Function):
    """A copy of logits that have the classes last, each image as a transposed matrix.

    PyTorch copies a tensor of four dimensions element by element, which takes twice as long with 19 classes.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> Tensor:
        """(N, C, H, W) to the same, contiguous."""
        found = torch.empty_like(logits, memory_format=torch.contiguous_format)
        for image, own in zip(logits, found, strict=True):
            own.flatten(1).copy_(image.permute(1, 2, 0).flatten(0, 1).t())
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """As it is."""
        return gradient


def pixels_last(logits: Tensor) -> Tensor:
    """Logits (N, C, H, W) as a contiguous tensor."""
    is_turned = logits.is_contiguous(memory_format=torch.channels_last)
    if is_turned and logits.shape[1] >= MANY and logits.device.type == "cpu" and logits.requires_grad:
        found: Tensor = PixelsLast.apply(logits)  # type: ignore[no-untyped-call]
        return found
    return logits.contiguous()

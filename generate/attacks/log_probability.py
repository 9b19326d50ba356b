"""Class probabilities and their logarithms, with a gradient of one class of each pixel that takes one pass."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

SMALL = 1e-30
"""Logarithms of probabilities below this are taken from the logits: float32 ends at 1e-38."""


class LogProbability(torch.autograd.Function):
    """log p for a label, and p for all classes, p = softmax(logits).

    The gradient is that of the label's alone: 1 - p for its logit, -p for the others. Autograd's own makes an array of
    zeros with one entry per pixel first. It is written over p, which nothing reads any more: a second way back through
    the same graph is PyTorch's error.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) logits and (N, H, W) labels to (N, H, W), and to (N, C, H, W) without a gradient."""
        probabilities = F.softmax(logits, 1)
        ctx.save_for_backward(probabilities, label)
        ctx.mark_non_differentiable(probabilities)
        ctx.set_materialize_grads(False)
        return logarithm(probabilities.gather(1, label[:, None])[:, 0], logits, label), probabilities

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: None) -> tuple[Tensor, None]:
        """To the logits."""
        probabilities, label = ctx.saved_tensors
        return probabilities.mul_(-gradient[:, None]).scatter_add_(1, label[:, None], gradient[:, None]), None


def logarithm(probability: Tensor, logits: Tensor, label: Tensor) -> Tensor:
    """(N, H, W) of the probability of the label, of small ones from the logits."""
    found = probability.log()
    small = (probability < SMALL).nonzero(as_tuple=True)
    if len(small[0]):
        rows = F.log_softmax(logits.movedim(1, -1)[small], 1)
        found[small] = rows.gather(1, label[small][:, None])[:, 0]
    return found


def log_probabilities(logits: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """The logarithm of the probability of the class `label` of each pixel, and without a gradient all probabilities.

    Take its gradient once, and read the probabilities before.

    Args:
        logits: (N, C, H, W).
        label: (N, H, W).

    Returns:
        (N, H, W) and (N, C, H, W).
    """
    found: tuple[Tensor, Tensor] = LogProbability.apply(logits, label)  # type: ignore[no-untyped-call]
    return found

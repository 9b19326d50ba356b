"""Lovász-softmax (Berman et al. 2018, https://arxiv.org/abs/1705.08790): a loss that continues the Jaccard index."""

import torch
import torch.nn.functional as F
from torch import Tensor

from segeval.classes import IGNORE


def lovasz_softmax(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over the classes that occur of the convex extension of 1 - IoU, all images of the batch taken together.

    Args:
        logits: (N, C, H, W).
        labels: (N, H, W) int64; pixels that are IGNORE do not count.

    Returns:
        A number in [0, 1]; with probabilities of 0 and 1 it is exactly 1 - IoU, mean over the classes of the labels.
    """
    counted = labels != IGNORE
    probabilities = logits.softmax(1).movedim(1, 0)[:, counted]
    truth = F.one_hot(labels[counted], logits.shape[1]).T.to(probabilities.dtype)
    present = truth.any(1)
    if not present.any():
        return logits.sum() * 0
    truth, probabilities = truth[present], probabilities[present]
    errors, order = (truth - probabilities).abs().sort(1, descending=True)
    return (errors * jaccard_steps(truth.gather(1, order))).sum(1).mean()


def jaccard_steps(truth: Tensor) -> Tensor:
    """How much 1 - IoU grows with each further wrong pixel: (C, P) for pixels in order of error, truth 0 or 1."""
    objects = truth.sum(1, keepdim=True)
    loss = 1 - (objects - truth.cumsum(1)) / (objects + (1 - truth).cumsum(1))
    return torch.diff(loss, dim=1, prepend=loss.new_zeros(len(loss), 1))

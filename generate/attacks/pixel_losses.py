"""Losses per pixel of the published attacks on segmentation, for every goal. An attack descends them.

They look at one class of each pixel, the *label*: the one that is wanted, which is to be gained, or, where a goal only
says what is not wanted, the clean one, which is to be lost.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import log
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from segeval.goals import Goal

from ..answers import labels_of
from .log_probability import log_probabilities
from .losses import at

Loss = Literal["ce", "masked", "balanced", "segpgd", "cosine", "jensen-shannon", "logit-cosine", "masked-logit-cosine"]


@dataclass(frozen=True)
class Pixels:
    """What one network shows, and what is wanted of it.

    Attributes:
        goal: in the numbers of the network's outputs.
        logits: (N, C, H, W).
        clean: (N, H, W) clean prediction, in the same numbers.
        phi: (N, H, W) bool.
        progress: share of the steps that is done, 0 to 1.
    """

    goal: Goal
    logits: Tensor
    clean: Tensor
    phi: Tensor
    progress: float = 0.0

    @cached_property
    def label(self) -> Tensor:
        """(N, H, W) the class that is to be gained or lost."""
        return self.clean if self.goal.target is None else torch.where(self.phi, self.goal.target, self.clean)

    @cached_property
    def lost(self) -> Tensor:
        """(N, H, W) bool, where the label is to be lost: φ of a goal that names no class."""
        return self.phi if self.goal.target is None else torch.zeros_like(self.phi)

    @cached_property
    def probabilities(self) -> tuple[Tensor, Tensor]:
        """The logarithm of that of the label (N, H, W), and without a gradient that of each class (N, C, H, W)."""
        return log_probabilities(self.logits, self.label)

    @cached_property
    def log_probability(self) -> Tensor:
        """(N, H, W) logarithm of the probability of the label, or of all source classes where they are to be lost."""
        own, _ = self.probabilities
        if self.goal.kind != "lost":
            return own
        sources = self.logits[:, list(self.goal.sources)].logsumexp(1) - self.logits.logsumexp(1)
        return torch.where(self.phi, sources, own)

    @cached_property
    @torch.no_grad()
    def reached(self) -> Tensor:
        """(N, H, W) bool, where the network shows what is wanted."""
        shown = labels_of(self.logits)
        if self.goal.kind != "lost":
            return (shown == self.label) ^ self.lost
        sources = torch.tensor(self.goal.sources, device=shown.device)
        return torch.where(self.phi, ~torch.isin(shown, sources), shown == self.label)

    def descending(self, score: Tensor) -> Tensor:
        """(N, H, W) a score of the label that falls where the attack gets on."""
        return -score if self.goal.target is not None else torch.where(self.phi, score, -score)


def cross_entropy(pixels: Pixels) -> Tensor:
    """Cross entropy to the wanted class, or minus that to the one to be lost (Madry et al. 2018, arXiv:1706.06083)."""
    return pixels.descending(pixels.log_probability)


def masked(pixels: Pixels) -> Tensor:
    """Cross entropy of the pixels that are not reached yet (SEA: Croce et al. 2024, arXiv:2306.12941, Eq. 5)."""
    return torch.where(pixels.reached, 0, cross_entropy(pixels))


def balanced(pixels: Pixels) -> Tensor:
    """`masked`, every clean class with the same weight however many pixels it has (SEA, Eq. 6).

    The paper counts pixels in the ground truth of a training set; here it is the clean prediction of the image itself.
    """
    classes = F.one_hot(pixels.clean, pixels.logits.shape[1]).flatten(1, 2).sum(1)  # (N, C) pixels
    present = classes.gt(0).sum(1, keepdim=True)
    weight = pixels.clean[0].numel() / (present * classes.clamp(min=1))
    return weight.gather(1, pixels.clean.flatten(1)).view_as(pixels.clean) * masked(pixels)


def segpgd(pixels: Pixels) -> Tensor:
    """Pixels that are reached count λ, others 1 - λ, where λ grows from 0 to ½ (Gu et al. 2022, arXiv:2207.12391)."""
    share = pixels.progress / 2
    return torch.where(pixels.reached, share, 1 - share) * cross_entropy(pixels)


def cosine(pixels: Pixels) -> Tensor:
    """Weighted by how far a pixel is from what is wanted (CosPGD: Agnihotri et al. 2024, arXiv:2302.02213, Eq. 8, 10).

    That is the cosine between the probabilities and the label to be lost, or one minus that to the one to be gained.
    """
    loss = cross_entropy(pixels)
    with torch.no_grad():
        near = (pixels.log_probability.exp() / length(pixels.probabilities[1])).clamp_(max=1)
        weight = torch.where(pixels.lost, near, 1 - near)
    return weight * loss


def length(vectors: Tensor) -> Tensor:
    """(N, H, W) Euclidean length of (N, C, H, W).

    On the CPU one class after another, for which the sum stays in the cache; Tensor.norm takes ten times as long.
    """
    if vectors.device.type != "cpu":
        return vectors.square().sum(1).sqrt_()
    found = torch.zeros_like(vectors[:, 0])
    for image, squares in zip(vectors, found, strict=True):
        for each in image:
            squares.addcmul_(each, each)
    return found.sqrt_()


def jensen_shannon(pixels: Pixels) -> Tensor:
    """Divergence of Jensen and Shannon between the probabilities and the label (SEA, Eq. 4).

    To a one-hot distribution it is log 2 + ½ (p log p - (1 + p) log(1 + p)), p the label's probability, which stays
    finite for any logits.
    """
    logarithm = pixels.log_probability
    p = logarithm.exp()
    divergence = log(2) + (p * logarithm - (1 + p) * torch.log1p(p)) / 2
    return pixels.descending(-divergence)


def logit_cosine(pixels: Pixels) -> Tensor:
    """Cosine between the logits and the label (PAdam-Cos: Halmosi et al. 2024, arXiv:2407.09150)."""
    return pixels.descending(at(F.normalize(pixels.logits, dim=1), pixels.label))


def masked_logit_cosine(pixels: Pixels) -> Tensor:
    """`logit_cosine` of the pixels that are not reached yet (APGD-MSL of the same paper)."""
    return torch.where(pixels.reached, 0, logit_cosine(pixels))


LOSSES: Mapping[Loss, Callable[[Pixels], Tensor]] = {
    "ce": cross_entropy,
    "masked": masked,
    "balanced": balanced,
    "segpgd": segpgd,
    "cosine": cosine,
    "jensen-shannon": jensen_shannon,
    "logit-cosine": logit_cosine,
    "masked-logit-cosine": masked_logit_cosine,
}

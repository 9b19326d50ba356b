"""Losses per pixel and their weights (Kang et al. 2020, Eq. 4, 6 and 8)."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from segeval.goals import Goal

from .goal_losses import goal_margin, goal_probability

Omega = Literal["none", "balanced", "source", "margin", "adversarial"]
FIXED: Sequence[Omega] = ("none", "balanced")
"""Kinds of weights that do not depend on the logits."""


def at(scores: Tensor, labels: Tensor) -> Tensor:
    """(N, H, W) score of each pixel's class in `labels`."""
    return scores.gather(1, labels[:, None])[:, 0]


def difference(goal: Goal, logits: Tensor, kept: Tensor, phi: Tensor, kappa: float | None) -> Tensor:
    """(N, H, W) cross entropy to the desired class minus that to the kept one (Eq. 6).

    The softmax cancels: it is the logit of the kept class minus that of the desired one. Where the goal accepts several
    classes, it is the largest logit that it does not accept minus the largest that it does.

    Args:
        goal: in the numbers of the network's outputs.
        logits: (N, C, H, W).
        kept: (N, H, W) the clean prediction, in the same numbers.
        phi: (N, H, W) bool.
        kappa: the margin from which a pixel counts as won and no longer pulls; None leaves the loss unbounded, as
            printed.
    """
    if goal.target is None:
        margin = torch.where(phi, -goal_margin(goal, logits, kept), 0)
    else:
        margin = at(logits, kept) - at(logits, torch.where(phi, goal.target, kept))
    return margin if kappa is None else margin.clamp(min=-kappa)


def joint_probability(logits: Sequence[Tensor]) -> Tensor:
    """(N, S, H, W) probability of each class in the network that is surest of it (Eq. 10, 11).

    Args:
        logits: of the shared classes, per network.
    """
    return torch.stack([each.softmax(1) for each in logits]).amax(0)


def joint_labels(logits: Sequence[Tensor]) -> Tensor:
    """(N, H, W) the class that any of the networks is surest of; a single one's own argmax."""
    return (logits[0] if len(logits) == 1 else joint_probability(logits)).argmax(1)


@torch.no_grad()
def hardness(logits: Sequence[Tensor], predicted: Tensor, phi: Tensor, goal: Goal, kind: Omega) -> Tensor:
    """(N, H, W) weights ω of how hard each pixel of φ still is, 1 outside φ (Eq. 4; Eq. 11 for several networks).

    * ``none``: 1.
    * ``balanced``: what φ lacks in pixels to the rest of the image, so that both count alike.
    * ``source``: probability of the pixel's own clean class, rescaled by the smallest and largest class probability.
    * ``margin``: what the adversarial class lacks to the largest, rescaled alike.
    * ``adversarial``: its probability; of several accepted classes that of all together.

    Args:
        logits: (N, S, H, W) of the shared classes, per network; probabilities are those of the network surest of a
            class.
        predicted: (N, H, W) clean prediction.
        phi: (N, H, W) bool.
        goal: what the attack wants.
        kind: which weights.
    """
    if kind == "none" or (kind == "balanced" and goal.kind == "wrong"):  # where φ is all, nothing else is to be kept
        return torch.ones_like(logits[0][:, 0])
    if kind == "balanced":
        inside = phi.flatten(1).sum(1).clamp(min=1)
        outside = (~phi).flatten(1).sum(1).clamp(min=1)
        return torch.where(phi, (outside / inside)[:, None, None], 1.0)
    probability = joint_probability(logits)
    adversarial = goal_probability(goal, probability, predicted)
    largest, smallest = probability.amax(1), probability.amin(1)
    span = (largest - smallest).clamp(min=torch.finfo(probability.dtype).tiny)
    weights = {
        "source": (at(probability, predicted) - smallest) / span,
        "margin": (largest - adversarial) / span,
        "adversarial": adversarial,
    }[kind]
    return torch.where(phi, weights, 1.0)

"""What the tanh attack weighs up in several victims (Kang et al. 2020, Eq. 6, Eq. 8 and Algorithm 1)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .losses import difference, joint_labels
from .problem import Problem, weighted_sum


def squared_change(images: Tensor, clean: Tensor, inside: Tensor) -> Tensor:
    """(N,) mean of the squared change on [-1, 1], summed over channels. inside: weights (N, H, W) of the mean."""
    return 4 * weighted_sum(F.mse_loss(images, clean, reduction="none").sum(1), inside)


def differences(problem: Problem, logits: Sequence[Tensor], kappa: float | None) -> list[Tensor]:
    """(N, H, W) per network Eq. 6. kappa: as of `difference`."""
    return [
        difference(problem.own_goal(number), each, problem.own(number, problem.predicted), problem.phi, kappa)
        for number, each in enumerate(logits)
    ]


def still_source(problem: Problem, logits: Sequence[Tensor]) -> Tensor:
    """(N, H, W) pixels that the networks together still predict as a source class; untargeted, as the clean class."""
    labels = joint_labels(problem.aligned(logits))
    if problem.goal.kind == "wrong":
        return labels == problem.predicted
    return torch.isin(labels, torch.tensor(problem.goal.sources, device=problem.phi.device))

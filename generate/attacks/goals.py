"""Goals as losses and margins of logits: what an attack descends, and how far a pixel is from being reached."""

import torch
import torch.nn.functional as F
from torch import Tensor

from segeval.goals import Goal

LEAD = 0.05
"""Logits by which one side of an evasive attack is to win, and the other not."""


def goal_cross_entropy(goal: Goal, logits: Tensor, clean: Tensor, phi: Tensor) -> Tensor:
    """-log of the probability of what is desired of each pixel: what the goal accepts in φ, the clean class elsewhere.

    For a goal from class to class that is the cross entropy to y_adv (Kang et al. 2020, Eq. 8). For the others it is
    that to the accepted classes together, -log(1 - p) of the probability p of those that are not accepted.

    Args:
        goal: in the numbers of the network's outputs.
        logits: (N, C, H, W).
        clean: (N, H, W) clean prediction, in the same numbers.
        phi: (N, H, W) bool.

    Returns:
        (N, H, W), 0 or above.
    """
    if goal.target is not None:
        return F.cross_entropy(logits, torch.where(phi, goal.target, clean), reduction="none")
    accepted = logits.masked_fill(rejected(goal, logits, clean), -torch.inf).logsumexp(1)
    return torch.where(phi, logits.logsumexp(1) - accepted, F.cross_entropy(logits, clean, reduction="none"))


def goal_margin(goal: Goal, logits: Tensor, clean: Tensor) -> Tensor:
    """(N, H, W) largest accepted logit minus the largest other one; above 0 where the goal is reached.

    The arguments are those of `goal_cross_entropy`.
    """
    refused = rejected(goal, logits, clean)
    accepted = logits.masked_fill(refused, -torch.inf).amax(1)
    return accepted - logits.masked_fill(~refused, -torch.inf).amax(1)


def evasive_loss(goal: Goal, logits: Tensor, clean: Tensor, phi: Tensor, unaware: bool) -> Tensor:
    """What a network lacks of its part in an attack that one sees and another does not.

    Inside φ a deployed file is to reach the goal and the desktop is not to, each by `LEAD`; what is reached pulls no
    more, so that a pixel rests where the two disagree. Outside φ nothing is to change.

    Args:
        goal: in the numbers of the network's outputs.
        logits: (N, C, H, W).
        clean: (N, H, W) clean prediction, in the same numbers.
        phi: (N, H, W) bool.
        unaware: whether the network is the one that is not to notice.

    Returns:
        (N, H, W), 0 or above.
    """
    margin = goal_margin(goal, logits, clean)
    lacks = (LEAD + margin if unaware else LEAD - margin).clamp(min=0)
    return torch.where(phi, lacks, F.cross_entropy(logits, clean, reduction="none"))


def goal_probability(goal: Goal, probability: Tensor, clean: Tensor) -> Tensor:
    """(N, H, W) of what the goal accepts.

    Args:
        goal: what the attack wants.
        probability: (N, C, H, W) of each class.
        clean: (N, H, W) clean prediction.
    """
    if goal.target is not None:
        return probability[:, goal.target]
    return probability.masked_fill(rejected(goal, probability, clean), 0).sum(1)


def rejected(goal: Goal, logits: Tensor, clean: Tensor) -> Tensor:
    """(N or 1, C, H or 1, W or 1) bool, the classes that a goal does not accept of a pixel of φ."""
    classes = torch.arange(logits.shape[1], device=logits.device)[None, :, None, None]
    if goal.kind == "wrong":
        return classes.eq(clean[:, None])
    if goal.target is not None:
        return classes.ne(goal.target)
    return torch.isin(classes, torch.tensor(goal.sources, device=logits.device))

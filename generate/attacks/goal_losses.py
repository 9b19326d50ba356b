"""Goals as losses and margins of logits: what an attack descends, and how far a pixel is from being reached."""

from collections.abc import Sequence

import torch
from torch import Tensor

from segeval.goals import Goal

from .log_probability import log_probabilities

SOFTNESS = 1.0
"""Logits over which a step of a margin is smooth: about what rounding to int8 changes."""


OUTSIDE = 0.1
"""Weight of all pixels outside φ in an evasive attack: 1 finds a third as much, 0 changes labels all around φ."""


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
        return -log_probabilities(logits, torch.where(phi, goal.target, clean))[0]
    accepted = logits.masked_fill(rejected(goal, logits, clean), -torch.inf).logsumexp(1)
    return torch.where(phi, logits.logsumexp(1) - accepted, -log_probabilities(logits, clean)[0])


def goal_margin(goal: Goal, logits: Tensor, clean: Tensor) -> Tensor:
    """(N, H, W) largest accepted logit minus the largest other one; above 0 where the goal is reached.

    The arguments are those of `goal_cross_entropy`.
    """
    refused = rejected(goal, logits, clean)
    accepted = logits.masked_fill(refused, -torch.inf).amax(1)
    return accepted - logits.masked_fill(~refused, -torch.inf).amax(1)


def evasive_loss(
    goals: Sequence[Goal],
    logits: Sequence[Tensor],
    clean: Sequence[Tensor],
    shown: Sequence[Tensor],
    phi: Tensor,
    unaware: Sequence[bool],
) -> Tensor:
    """Loss that is least where deployed files are fooled and the desktop notices nothing.

    DIVA (Hao et al. 2022, arXiv:2204.10933) adds the probability that one network is fooled to the probability that the
    other stays right. Here every pixel of φ needs both, so they are multiplied, and what the desktop notices is a term
    of its own. Logistic functions of the margins take the place of probabilities: pixels far from the boundary, where
    the networks agree, have the smallest gradient.

    Args:
        goals: per network, in the numbers of its outputs.
        logits: (N, C, H, W) per network.
        clean: (N, H, W) clean prediction of the victims together, in the numbers of each.
        shown: (N, H, W) what each shows on the clean image by itself.
        phi: (N, H, W) bool.
        unaware: per network, whether it is one that is not to notice.

    Returns:
        (N, H, W), -1 where all is reached. Outside φ no network is to notice anything, which all together weighs
        `OUTSIDE` times as much as φ.
    """
    calm, fooled = torch.ones_like(logits[0][:, 0]), []
    for goal, each, labels, own, notices_nothing in zip(goals, logits, clean, shown, unaware, strict=True):
        stays = torch.sigmoid(clean_margin(each, own) / SOFTNESS)
        if notices_nothing:
            calm = calm * stays
        else:
            fooled.append(torch.where(phi, torch.sigmoid(goal_margin(goal, each, labels) / SOFTNESS), stays))
    lacking = 1 - calm - calm * torch.stack(fooled).mean(0)
    inside = phi.flatten(1).sum(1)
    weight = OUTSIDE * inside / (phi[0].numel() - inside).clamp(min=1)
    return torch.where(phi, lacking, weight[:, None, None] * lacking)


def clean_margin(logits: Tensor, clean: Tensor) -> Tensor:
    """(N, H, W) logit of the clean class minus the largest other one."""
    others = logits.scatter(1, clean[:, None], -torch.inf)
    return logits.gather(1, clean[:, None])[:, 0] - others.amax(1)


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

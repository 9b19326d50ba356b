"""What is to hold of every pixel, for attacks that look for the smallest change with which it does."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .goal_losses import clean_margin, goal_margin
from .problem import Problem


def leads(problem: Problem, logits: Sequence[Tensor]) -> Tensor:
    """(K, N, H, W) logit of what is desired of each pixel minus the largest other one, for each of K networks.

    It is above 0 where the constraint is met. Desired is what the goal accepts in φ, elsewhere the clean prediction; of
    a network that is to notice nothing, what it shows on the clean image itself.

    Args:
        problem: whose goal and networks they are.
        logits: (N, C, H, W) of every network.
    """
    found = []
    for number, each in enumerate(logits):
        goal, clean = problem.own_goal(number), problem.own(number, problem.predicted)
        kept = problem.shown[number] if problem.shown else clean
        if problem.unaware and problem.unaware[number]:
            found.append(clean_margin(each, kept))
        elif goal.target is not None:
            found.append(clean_margin(each, torch.where(problem.phi, goal.target, kept)))
        else:
            found.append(torch.where(problem.phi, goal_margin(goal, each, clean), clean_margin(each, kept)))
    return torch.stack(found)


def shares(problem: Problem, lead: Tensor) -> Tensor:
    """(N,) share of φ whose constraint is met, in the network where it is smallest.

    Args:
        problem: whose φ it is.
        lead: (K, N, H, W) as of `leads`.
    """
    met = ((lead > 0) & problem.phi).flatten(2).sum(2).amin(0)
    return met / problem.phi.flatten(1).sum(1).clamp(min=1)


def balance(problem: Problem, outside: float) -> Tensor:
    """(N, H, W) weights: φ weighs 1 in all, everything else `outside` in all, but no pixel more than one of φ does.

    For the local scope, where nothing else is answered for, the weight outside φ is 0.

    Args:
        problem: whose φ it is.
        outside: 0 or above.
    """
    inside = problem.phi.flatten(1).sum(1).clamp(min=1)
    rest = torch.maximum(problem.phi[0].numel() - inside, inside)
    weights = torch.where(problem.phi, (1 / inside)[:, None, None], (outside / rest)[:, None, None])
    return (weights * problem.region).to(problem.clean)


def hinge(problem: Problem, lead: Tensor, kappa: float, outside: float) -> Tensor:
    """(N,) weighted sum over pixels and networks of what a lead lacks to `kappa` logits.

    Args:
        problem: whose pixels they are.
        lead: (K, N, H, W) as of `leads`.
        kappa: lead from which a pixel no longer pulls.
        outside: as of `balance`.
    """
    return (balance(problem, outside) * (kappa - lead).clamp(min=0)).flatten(2).sum((0, 2))


def per_image(values: Tensor) -> Tensor:
    """(N,) numbers as (N, 1, 1, 1), to go with images."""
    return values[:, None, None, None]


def norms(images: Tensor, order: float = 2) -> Tensor:
    """(N, 1, 1, 1) norm of each of (N, 3, H, W), above 0 so that one can divide by it."""
    return per_image(torch.linalg.vector_norm(images.flatten(1), order, 1).clamp(min=1e-12))


def level(problem: Problem) -> Tensor:
    """(N, 1, 1, 1) L2 norm of a change by one level of 255 wherever an attack may change something."""
    return per_image((3 * problem.region.flatten(1).sum(1)).to(problem.clean).sqrt() / 255)


def spread(logits: Sequence[Tensor]) -> Tensor:
    """(K, N, H, W) largest logit minus the mean of the third and fourth, so that the logits' scale does not matter.

    With fewer than four classes, where the ratio of leads to that may have no gradient, it is 1.
    """
    found = []
    for each in logits:
        top = each.topk(min(4, each.shape[1]), 1).values
        found.append(top[:, 0] - top[:, 2:].mean(1) + 1e-8 if top.shape[1] == 4 else torch.ones_like(top[:, 0]))
    return torch.stack(found)

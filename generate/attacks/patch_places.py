"""Where a patch lies in an image, and what varies from place to place."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from .problem import Problem


def drawn(spread: float, draw: Generator) -> float:
    """A factor within `spread` of 1."""
    return 1 + spread * (2 * float(torch.rand((), generator=draw)) - 1)


def blocked(problem: Problem, number: int, region: tuple[int, ...]) -> Tensor:
    """(H, W) bool, where the patch on image `number` is not to lie: on φ, and outside its region."""
    nowhere = torch.zeros_like(problem.phi[number])
    on_phi = nowhere if problem.goal.kind == "wrong" else problem.phi[number]
    outside = ~torch.isin(problem.predicted[number], torch.tensor(region, device=on_phi.device)) if region else nowhere
    return on_phi | outside


def place(side: int, blocked: Tensor, draw: Generator) -> tuple[int, int]:
    """Top and left of a random square, of those that cover the fewest blocked pixels.

    Args:
        side: of the square in pixels.
        blocked: (H, W) bool.
        draw: random numbers.
    """
    sums = F.pad(blocked.cpu().long().cumsum(0).cumsum(1), (1, 0, 1, 0))
    covered = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    best = (covered == covered.min()).nonzero()
    top, left = best[int(torch.randint(len(best), (1,), generator=draw))].tolist()
    return top, left

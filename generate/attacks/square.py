"""A random search in squares, without a gradient (Andriushchenko et al. 2020, https://arxiv.org/abs/1912.00049)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from math import sqrt
from typing import ClassVar

import torch
from torch import Tensor

from .budgets import require_budget
from .problem import Candidate, Presets, Problem, generator
from .ranges import require

HALVINGS = 4
"""How often the area of a square is halved on the way, evenly. The paper does so nine times, in 10,000 queries."""


@dataclass(frozen=True)
class Square:
    """Try squares of the whole budget, one query a step, and keep those that lower the loss.

    Adapted: every other square is centred in φ, and the search starts from the stripes of the paper or from the clean
    image, whichever is nearer to the goal; on label maps stripes are often the worse start.

    Attributes:
        budget: L-infinity radius in 0–255 levels, whole ones.
        area: share of the image that the first squares cover.
    """

    norm: ClassVar = "L∞, no gradient"
    paper: ClassVar = "Andriushchenko et al. 2020, arXiv:1912.00049"
    presets: ClassVar[Presets] = {}

    budget: float = 2.0
    area: float = 0.05

    def __post_init__(self) -> None:
        require_budget("square", self.budget)
        require("square", self, shares=("area",))

    @property
    def radius(self) -> float:
        """L-infinity budget in 0–255 levels."""
        return self.budget

    @torch.no_grad()
    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        """Yield the clean image, stripes, then the best so far with another square in each step."""
        ball, size = problem.linf(self.budget), self.budget / 255
        draws = [generator(seed, 0) for seed in problem.seeds]
        centres = [[mask.nonzero().cpu() for mask in masks] for masks in (problem.region, problem.phi)]
        best, x = problem.clean, problem.clean
        least = torch.full_like(problem.clean[:, 0, 0, 0], torch.inf)
        for query in count():
            logits = problem.logits(x)
            loss = problem.loss(logits)
            yield Candidate(x, logits)
            better = loss < least
            least, best = torch.where(better, loss, least), torch.where(better[:, None, None, None], x, best)
            if query == 0:
                change = torch.stack([signs((3, 1, x.shape[3]), draw) for draw in draws]).to(x)
                tried = problem.clean + size * change
            else:
                side = self.side(problem, query)
                tried = best.clone()
                for image, (inside, draw) in enumerate(zip(centres[query % 2], draws, strict=True)):
                    rows, columns = square(inside, side, draw)
                    change = signs((3, 1, 1), draw).to(x)
                    tried[image, :, rows, columns] = problem.clean[image, :, rows, columns] + size * change
            x = ball.project(tried)

    def side(self, problem: Problem, query: int) -> int:
        """Of a square in pixels, at least 1."""
        area = self.area * 0.5 ** (HALVINGS * query / max(problem.steps, 1))
        return max(1, round(sqrt(area * problem.phi[0].numel())))


def signs(shape: Sequence[int], draw: torch.Generator) -> Tensor:
    """Random numbers -1 and 1."""
    return torch.randint(0, 2, tuple(shape), generator=draw) * 2.0 - 1


def square(centres: Tensor, side: int, draw: torch.Generator) -> tuple[slice, slice]:
    """Rows and columns of a square around one of (P, 2) places; at the rim it is cut off."""
    row, column = centres[int(torch.randint(len(centres), (1,), generator=draw))].tolist()
    top, left = row - side // 2, column - side // 2
    return slice(max(0, top), top + side), slice(max(0, left), left + side)

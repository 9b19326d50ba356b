"""Decoupled direction and norm for label maps (Rony et al. 2019, https://arxiv.org/abs/1811.09600)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import ClassVar

import torch

from .constraints import hinge, leads, level, norms, per_image, shares
from .problem import Candidate, Presets, Problem
from .ranges import require


@dataclass(frozen=True)
class DDN:
    """Look for the smallest L2: steps along the gradient, on a sphere that shrinks while the attack succeeds.

    Adapted to label maps: an image succeeds when `aim` of φ does, the loss sums how far every pixel's lead falls short
    of `kappa` logits, instead of one cross entropy, φ weighs as much as `1 / outside` of the rest, and directions have
    momentum. Norms are root mean squares over what may change, so that they mean the same for images of any size.

    Attributes:
        start: first radius (ε₀), in levels.
        factor: by which the radius shrinks or grows in each step (γ).
        step: first length of a step in levels (α); it falls to a hundredth along a cosine.
        momentum: share of the last direction that is kept.
        kappa: lead in logits from which a pixel no longer pulls.
        aim: share of φ from which the radius shrinks.
        outside: weight of all pixels outside φ together, against 1 of φ.
    """

    norm: ClassVar = "L2"
    paper: ClassVar = "Rony et al. 2019, arXiv:1811.09600"
    presets: ClassVar[Presets] = {}

    start: float = 0.25
    factor: float = 0.05
    step: float = 0.2
    momentum: float = 0.5
    kappa: float = 1.0
    aim: float = 0.995
    outside: float = 1.0

    def __post_init__(self) -> None:
        require("ddn", self, levels=("start", "step"), shares=("aim",), kept=("factor", "momentum"))
        require("ddn", self, from_zero=("kappa", "outside"))

    @property
    def radius(self) -> None:
        """No L-infinity budget."""
        return None

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        """Yield the clean image, then one image per step, each on its sphere."""
        change = direction = torch.zeros_like(problem.clean)
        radius = self.start * level(problem)
        for number in count():
            x = (problem.clean + change).requires_grad_()
            logits = problem.logits(x)
            lead = leads(problem, logits)
            yield Candidate(x, logits)
            (gradient,) = torch.autograd.grad(hinge(problem, lead, self.kappa, self.outside).sum(), x)
            gradient = gradient * problem.region[:, None]
            direction = self.momentum * direction + gradient / norms(gradient)
            change = change - self.length(number, problem.steps) * level(problem) * direction
            won = per_image(shares(problem, lead.detach()) >= self.aim)
            radius = radius * torch.where(won, 1 - self.factor, 1 + self.factor)
            change = problem.confine(problem.clean + change * radius / norms(change)) - problem.clean

    def length(self, number: int, steps: int) -> float:
        """Length of a step in levels."""
        return self.step * (0.01 + 0.99 * (1 + math.cos(math.pi * min(number / max(steps, 1), 1))) / 2)

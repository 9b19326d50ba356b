"""ALMA prox: the smallest L-infinity norm by an augmented Lagrangian (Rony et al. 2023, arXiv:2206.07179)."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import ClassVar

import torch
from torch import Tensor

from .constraints import balance, leads, per_image, shares, spread
from .multipliers import Multipliers
from .problem import Candidate, Presets, Problem
from .proximal import prox_linf
from .ranges import require


@dataclass(frozen=True)
class ALMAProx:
    """Every pixel is a constraint with a multiplier of its own; the norm shrinks by its proximal operator (Alg. 1).

    Adapted: what is counted as success is the share of φ, not of all pixels, which a clean image has already where φ is
    small; pixels outside φ are constraints of less weight, φ weighing as much as `1 / outside` of them.

    Attributes:
        rate: first step in levels (λ, of the gradient in its own metric).
        fall: share of itself that it falls to.
        rho: first penalty parameter ρ; it doubles wherever a constraint does not improve.
        check: steps between two looks whether it does (M).
        average: share of multipliers and metric that is kept in a step (α).
        tolerance: by which constraints are to be met, in the unit of the ratio.
        aim: share of φ with which an image succeeds.
        outside: weight of all pixels outside φ together, against 1 of φ.
    """

    norm: ClassVar = "L∞"
    paper: ClassVar = "Rony et al. 2023, arXiv:2206.07179"
    presets: ClassVar[Presets] = {}

    rate: float = 0.13
    fall: float = 0.1
    rho: float = 0.01
    check: int = 10
    average: float = 0.8
    tolerance: float = 1e-4
    aim: float = 0.99
    outside: float = 1.0

    def __post_init__(self) -> None:
        require("alma-prox", self, levels=("rate",), shares=("fall", "aim"), positive=("rho",), counts=("check",))
        require("alma-prox", self, kept=("average",), from_zero=("tolerance", "outside"))

    @property
    def radius(self) -> None:
        """No L-infinity budget: its norm is what is made small."""
        return None

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        """Yield the clean image, then one image per step."""
        change, square = torch.zeros_like(problem.clean), torch.zeros_like(problem.clean)
        weights = balance(problem, self.outside)
        weights = weights / weights.amax((1, 2), keepdim=True).clamp(min=1e-30)
        every = weights.expand(len(problem.networks), *weights.shape)
        multipliers = Multipliers(every, problem.phi, self.rho, self.check, self.average)
        found = torch.full_like(change[:, 0, 0, 0], problem.steps // 2)
        for number in count():
            x = (problem.clean + change).requires_grad_()
            logits = problem.logits(x)
            lead = leads(problem, logits)
            yield Candidate(x, logits)
            won = shares(problem, lead.detach()) >= self.aim
            found = torch.where(won, found.clamp(max=number), found)
            ratio = (self.tolerance - lead) / spread(logits)
            pulls = multipliers.update(ratio.detach(), won, number, (1 - self.aim) * number / max(problem.steps - 1, 1))
            (gradient,) = torch.autograd.grad((weights * pulls * ratio).sum(), x)
            gradient = gradient * problem.region[:, None]
            square = torch.lerp(gradient.square(), square, self.average)
            metric = (square / (1 - self.average ** (number + 1))).sqrt().clamp(min=1e-8)
            step = per_image(self.rate / 255 * self.fallen(number, problem.steps, found))
            moved = change - step / metric * gradient
            change = prox_linf(moved, step, metric, -problem.clean, 1 - problem.clean)

    def fallen(self, number: int, steps: int, found: Tensor) -> Tensor:
        """(N,) share of the step that is left: it falls from the step on which the attack first succeeded."""
        if self.fall == 1:
            return torch.ones_like(found)
        tangent = self.fall / (1 - self.fall) * (steps - found).clamp(min=1)
        return tangent / ((number - found).clamp(min=0) + tangent)

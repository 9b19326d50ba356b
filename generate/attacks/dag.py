"""Dense adversary generation (Xie et al. 2017, https://arxiv.org/abs/1703.08603)."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import ClassVar

import torch

from .constraints import leads, norms
from .problem import Candidate, Presets, Problem
from .ranges import require


@dataclass(frozen=True)
class DAG:
    """Steps of equal L-infinity norm on the margins of the pixels that are not won yet (Algorithm 1).

    Adapted: a pixel's term is the largest logit that the goal does not accept minus the largest that it does, where the
    paper takes the clean class and a drawn one; with `outside` above 0 pixels outside φ that no longer show what they
    did are targets as well. It never gives back what it changed, so it is the driver that keeps the smallest image.

    Attributes:
        step: L-infinity norm of a step in levels (γ); 0.5 in the paper, which takes up to 200 of them.
        aim: share of φ that is enough; beyond it, the smaller change is saved.
        outside: weight of a pixel outside φ, against 1 of one of φ.
    """

    norm: ClassVar = "none"
    paper: ClassVar = "Xie et al. 2017, arXiv:1703.08603"
    presets: ClassVar[Presets] = {}

    step: float = 1.0
    aim: float = 0.99
    outside: float = 0.0

    def __post_init__(self) -> None:
        require("dag", self, levels=("step",), shares=("aim",), from_zero=("outside",))

    @property
    def radius(self) -> None:
        """No L-infinity budget."""
        return None

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        """Yield the clean image, then one image per step."""
        weights = torch.where(problem.phi, 1.0, self.outside) * problem.region
        change = torch.zeros_like(problem.clean)
        while True:
            change = change.detach().requires_grad_()
            x = problem.confine(problem.clean + change)
            logits = problem.logits(x)
            yield Candidate(x, logits)
            lacking = (weights * leads(problem, logits).neg().clamp(min=0)).sum()
            (gradient,) = torch.autograd.grad(lacking, change)
            change = change - self.step / 255 * gradient / norms(gradient, inf)

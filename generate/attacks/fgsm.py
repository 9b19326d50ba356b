"""The fast gradient sign method, iterated and targeted (Goodfellow et al. 2015, https://arxiv.org/abs/1412.6572)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

from segeval.errors import ConfigurationError

from .budgets import require_budget
from .problem import Candidate, Presets, Problem


@dataclass(frozen=True)
class FGSM:
    """Iterative FGSM as the baseline of Kang et al. 2020 (Eq. 1), descending towards the desired labels.

    Attributes:
        budget: L-infinity radius in 0–255 levels.
        step: change per iteration in levels, a quarter of the budget if None.
    """

    norm: ClassVar = "L∞"
    paper: ClassVar = "Goodfellow et al. 2015, arXiv:1412.6572"
    presets: ClassVar[Presets] = {
        ("paper", "local"): {"budget": 1.0},
        ("paper", "full"): {"budget": 1.0},
    }
    matched: ClassVar = {"budget": 4.0, "step": 0.1}

    budget: float = 2.0
    step: float | None = None

    def __post_init__(self) -> None:
        require_budget("fgsm", self.budget)
        if self.step is not None and not self.step > 0:
            raise ConfigurationError(f"fgsm: a step of {self.step} levels", "steps are above 0")

    @property
    def radius(self) -> float:
        """L-infinity budget in 0–255 levels."""
        return self.budget

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        """Yield the clean image, then one image per signed gradient step."""
        ball = problem.linf(self.budget)
        step = self.budget / 4 if self.step is None else self.step
        x = problem.clean
        while True:
            x = x.detach().requires_grad_()
            logits = problem.logits(x)
            yield Candidate(x, logits)
            loss = problem.loss(logits).sum()
            del logits
            (gradient,) = torch.autograd.grad(loss, x)
            x = ball.stepped(x, gradient, step)

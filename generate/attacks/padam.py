"""PAdam: Adam within a budget (Halmosi, Mohos and Jelasity 2024, https://arxiv.org/abs/2407.09150)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from segeval.errors import ConfigurationError

from .adam import Adam
from .budgets import require_budget
from .problem import Candidate, Presets, Problem
from .starts import Start, started

TINY = 1e-16
"""Adam's ε: far below any gradient, of which a mean over all pixels has very small ones."""


@dataclass(frozen=True)
class PAdam:
    """Adam with the largest second moment so far (AMSGrad), projected after every step.

    Attributes:
        budget: L-infinity radius in 0–255 levels.
        rate: of Adam in levels, a quarter of the budget if None: the authors' 2 levels for a budget of 8.
        start: where it begins.
        loss: `ce`, cross entropy (PAdam-CE), or `logit-cosine`, cosine to the logits (PAdam-Cos).
    """

    norm: ClassVar = "L∞"
    paper: ClassVar = "Halmosi et al. 2024, arXiv:2407.09150"
    presets: ClassVar[Presets] = {}
    own_loss: ClassVar = ("loss",)

    budget: float = 2.0
    rate: float | None = None
    start: Start = "random"
    loss: Literal["ce", "logit-cosine"] = "ce"

    def __post_init__(self) -> None:
        require_budget("padam", self.budget)
        if self.rate is not None and not 0 < self.rate <= 255:
            raise ConfigurationError(f"padam: a rate of {self.rate:g} levels", "rates are above 0 and up to 255")

    @property
    def radius(self) -> float:
        """L-infinity budget in 0–255 levels."""
        return self.budget

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        """Yield the start, then one image per step of Adam."""
        ball = problem.linf(self.budget)
        x = started(problem, ball, self.start, stream=0).clone().requires_grad_()
        rate = (self.budget / 4 if self.rate is None else self.rate) / 255
        optimiser = Adam([x], rate, amsgrad=True, eps=TINY)
        while True:
            logits = problem.logits(x)
            loss = problem.published_loss(logits, self.loss)
            yield Candidate(x.detach().clone(), logits)
            del logits
            optimiser.step(torch.autograd.grad(loss.sum(), x))
            with torch.no_grad():
                x.copy_(ball.project(x))

"""Projected descent in signed steps, which PGD and the attacks made from it share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor

from segeval.errors import ConfigurationError

from .budgets import require_budget
from .pixel_losses import Loss
from .problem import Candidate, Problem
from .starts import Run, Start, runs, started

Objective = Callable[[Tensor, float], tuple[tuple[Tensor, ...], Tensor]]
"""From images (N, 3, H, W) and the share of the steps that is done to every network's logits and the loss (N,)."""


@dataclass(frozen=True)
class SignedSteps(ABC):
    """Steps against the sign of the gradient, or of its running mean, projected to the budget.

    Attributes:
        budget: L-infinity radius in 0–255 levels.
        first_step: change of the first step, in budgets.
        last_step: of the last one; steps between fall evenly. None keeps them alike.
        momentum: share of the running mean that is kept (Dong et al. 2018, arXiv:1710.06081), of gradients that are
            divided by their mean size; 0 for none.
        start: where it begins, at a random image of the budget or at the clean one.
        restarts: number of restarts; all runs share the steps.
    """

    budget: float = 2.0
    first_step: float = 0.25
    last_step: float | None = None
    momentum: float = 0.0
    start: Start = "random"
    restarts: int = 0

    def __post_init__(self) -> None:
        name = type(self).__name__.lower()
        require_budget(name, self.budget)
        for step in (self.first_step, self.last_step):
            if step is not None and not 0 < step <= 255:
                raise ConfigurationError(f"{name}: a step of {step:g} budgets", "steps are above 0 and up to 255")
        if not (0 <= self.momentum < 1 and self.restarts >= 0):
            raise ConfigurationError(
                f"{name}: momentum={self.momentum:g}, restarts={self.restarts}",
                "momentum is 0 or above and below 1, restarts 0 or more",
            )

    @property
    def radius(self) -> float:
        """L-infinity budget in 0–255 levels."""
        return self.budget

    @abstractmethod
    def objective(self, problem: Problem) -> Objective:
        """What is descended."""

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        """Yield the start, then one image per signed step."""
        objective = self.objective(problem)
        for run in runs(problem, self.restarts):
            yield from self.run(problem, run, objective)

    def run(self, problem: Problem, run: Run, objective: Objective) -> Iterator[Candidate]:
        """One beginning and its steps."""
        ball = problem.linf(self.budget)
        x = started(problem, ball, self.start, run.number)
        direction = torch.zeros_like(x)
        for step in count():
            x = x.detach().requires_grad_()
            logits, loss = objective(x, run.progress(step))
            yield Candidate(x, logits, run.number)
            if run.over(step):
                return
            del logits
            (gradient,) = torch.autograd.grad(loss.sum(), x)
            direction = self.scaled(gradient).add(direction, alpha=self.momentum)
            x = ball.stepped(x, direction, self.size(run.between(step)))

    def scaled(self, gradient: Tensor) -> Tensor:
        """Gradients (N, 3, H, W) of one mean size, where they are added up."""
        if not self.momentum:
            return gradient
        tiny = torch.finfo(gradient.dtype).tiny
        return gradient / gradient.abs().mean(dim=(1, 2, 3), keepdim=True).clamp_(min=tiny)

    def size(self, between: float) -> float:
        """Size of a step in levels, `between` 0 for the first one and 1 for the last."""
        last = self.first_step if self.last_step is None else self.last_step
        return self.budget * (self.first_step + between * (last - self.first_step))


@dataclass(frozen=True)
class SignedDescent(SignedSteps):
    """Signed steps down a loss of `pixel_losses`.

    Attributes:
        loss: which.
    """

    loss: Loss = "ce"

    def objective(self, problem: Problem) -> Objective:
        """That loss."""
        return of_pixels(problem, self.loss)


def of_pixels(problem: Problem, loss: Loss) -> Objective:
    """A loss of the networks' logits, summed up over them; the evasive one where a network is unaware."""

    def found(x: Tensor, progress: float) -> tuple[tuple[Tensor, ...], Tensor]:
        logits = problem.logits(x)
        return logits, problem.published_loss(logits, loss, progress)

    return found

"""The descent of APGD (Croce and Hein 2020, https://arxiv.org/abs/2003.01690), from larger budgets inwards or not."""

from collections.abc import Generator
from itertools import count

import torch
from torch import Tensor

from .adaptive_steps import AdaptiveSteps
from .budgets import Linf
from .constraints import per_image
from .pixel_losses import Loss
from .problem import Candidate, Problem
from .starts import Run, Start, started

WIDE = ((2.0, 0.3), (1.5, 0.3), (1.0, 0.4))
"""Multiples of the budget, and their shares of the steps (SEA, Sec. 3.3)."""


def descents(
    problem: Problem, run: Run, budget: float, loss: Loss, start: Start, wide: bool
) -> Generator[Candidate, None, None]:
    """One run: in the budget, or in larger ones first. The arguments are fields of `APGD`."""
    phases = WIDE if wide and run.candidates > len(WIDE) else WIDE[-1:]
    ends = [*(int(share * run.candidates) for _, share in phases[:-1])]
    ends.append(run.candidates - sum(ends))
    x = started(problem, problem.linf(min(phases[0][0] * budget, 255)), start, run.number)
    for number, ((multiple, _), candidates) in enumerate(zip(phases, ends, strict=True)):
        ball = problem.linf(min(multiple * budget, 255))
        last = number == len(phases) - 1
        phase = Run(run.number, candidates, run.last and last)
        x = yield from descent(problem, phase, ball, loss, ball.project(x), not last)


def descent(
    problem: Problem, run: Run, ball: Linf, loss: Loss, x: Tensor, outside: bool
) -> Generator[Candidate, None, Tensor]:
    """Adaptive steps within one radius; returns the best image.

    Args:
        problem: what is attacked.
        run: how many candidates there may be.
        ball: of this radius.
        loss: what is descended.
        x: (N, 3, H, W) the start.
        outside: whether the radius is larger than the budget.
    """
    steps = AdaptiveSteps(ball, x, max(run.candidates - 1, 1))
    for step in count():
        x = x.detach().requires_grad_()
        logits = problem.logits(x)
        objective = problem.published_loss(logits, loss, run.progress(step))
        judged = objective if loss == "ce" else problem.published_loss([each.detach() for each in logits], "ce")
        yield Candidate(x, logits, run.number, outside)
        if run.over(step):
            better = judged.detach() < steps.smallest
            return torch.where(per_image(better), x.detach(), steps.best)
        del logits
        (gradient,) = torch.autograd.grad(objective.sum(), x)
        x = steps.after(x.detach(), gradient, judged.detach())
    raise AssertionError("a count has no end")

"""Fitting a pattern: the mean loss of several images is descended, a few of them per step."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from math import ceil

import torch
from torch import Tensor

from segeval.errors import EngineError

from ..attacks.constraints import balance
from ..attacks.fitted import Form
from ..attacks.problem import Problem
from ..crafting.flatness import WITHOUT_GRADIENT
from ..group import ALONE, Group

MOMENTUM = 0.75
"""Share of the running mean of gradients that is kept (Dong et al. 2018, arXiv:1710.06081)."""
Problems = Callable[[int, int], Problem]
"""The problem of image number … in round …; places and light differ between rounds."""


@dataclass(frozen=True)
class Course:
    """How long to fit. batch: images per step. seed: of their order."""

    steps: int
    batch: int
    seed: int


def fit(
    form: Form,
    problems: Problems,
    count: int,
    region: tuple[int, ...],
    course: Course,
    start: Tensor,
    tick: Callable[[int], None],
    group: Group = ALONE,
) -> Tensor:
    """The values of a pattern, in whole levels.

    Args:
        form: what is fitted.
        problems: the images.
        count: how many there are.
        region: classes on which a patch lies.
        course: steps, batch and seed.
        start: the values before the first step.
        tick: called after every step with the number taken.
        group: the processes that share the images of a step. Gradients are added in the order of the images, so that
            on the CPU no bit of the sum depends on the number of processes.

    Raises:
        EngineError: if a gradient is not finite, or zero on all images of the first round, or a process is lost.
    """
    values, direction = start, torch.zeros_like(start)
    drawn = rounds(count, course)
    for step in range(course.steps):
        drawn_now = group.share(list(islice(drawn, course.batch)))
        slopes = (slope(form, values, problems(*image), region, step / course.steps) for image in drawn_now)
        own = slopes if group.size == 1 else iter(list(slopes))  # all at once, before others are waited for
        gradient = nothing = torch.zeros_like(start)
        for place in range(course.batch):
            source = place % group.size
            gradient = gradient + group.sent(next(own) if source == group.rank else nothing, source)
        direction = MOMENTUM * direction + of_mean_size(gradient)
        if step + 1 == min(ceil(count / course.batch), course.steps) and not bool(direction.any()):
            raise EngineError("the gradient of a pattern is zero in float32 on all images", WITHOUT_GRADIENT)
        values = form.moved(values, direction.sign(), step / max(course.steps - 1, 1))
        tick(step + 1)
    return (values * 255).round() / 255


def rounds(count: int, course: Course) -> Iterator[tuple[int, int]]:
    """Image after image in random order, again and again, with the number of the round."""
    draw, turn = torch.Generator().manual_seed(course.seed), 0
    while True:
        for number in torch.randperm(count, generator=draw).tolist():
            yield number, turn
        turn += 1


def slope(form: Form, values: Tensor, problem: Problem, region: tuple[int, ...], progress: float) -> Tensor:
    """Gradient of the loss on one image, of mean size 1, or zero. Raises EngineError if it is not finite.

    Its size says little of how much an image has to win, and would let a few images decide for all.
    """
    values = values.detach().requires_grad_()
    logits = problem.logits(form.applied(values, problem, region))
    weights = balance(problem, form.outside)
    losses = problem.published_pixel_losses(logits, form.loss, progress)
    loss = torch.stack([(weights * each).sum() for each in losses]).sum()
    if not loss.requires_grad:
        return torch.zeros_like(values)
    (gradient,) = torch.autograd.grad(loss, values)
    if not bool(gradient.isfinite().all()):
        raise EngineError("the gradient of a pattern is not finite", "fit it with smaller steps, or report this")
    return of_mean_size(gradient)


def of_mean_size(gradient: Tensor) -> Tensor:
    """A gradient divided by the mean of its absolute values; zero stays zero."""
    return gradient / gradient.abs().mean().clamp(min=torch.finfo(gradient.dtype).tiny)


def success_on(form: Form, values: Tensor, problem: Problem, region: tuple[int, ...]) -> float:
    """Share of φ of one image that a pattern wins, the least of all networks."""
    with torch.no_grad():
        logits = problem.logits(form.applied(values, problem, region))
    phi, goal = problem.phi[0].cpu().numpy(), problem.goal
    clean = problem.predicted[0].byte().cpu().numpy()
    shown = [each[0].argmax(0).byte().cpu().numpy() for each in logits]
    return min(float((goal.reached(labels, clean) & phi).sum() / phi.sum()) for labels in shown)

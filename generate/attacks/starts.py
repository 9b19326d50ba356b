"""Where attacks within a budget begin, and how restarts share the steps."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from .budgets import Linf
from .problem import Problem

Start = Literal["random", "clean"]


@dataclass(frozen=True)
class Run:
    """One of several beginnings of an attack.

    Attributes:
        number: 0 for the first.
        candidates: how many iterates it may take; the last run goes on for as long as it is asked.
        last: whether none follows.
    """

    number: int
    candidates: int
    last: bool

    def progress(self, step: int) -> float:
        """Share of its steps that is done after so many, at most 1."""
        return min(step / max(self.candidates - 1, 1), 1.0)

    def between(self, step: int) -> float:
        """Where a step lies between the first one, 0, and the last one, 1."""
        return min(step / max(self.candidates - 2, 1), 1.0)

    def over(self, step: int) -> bool:
        """Whether candidate `step` is the last one, so that no gradient of it is needed."""
        return not self.last and step + 1 >= self.candidates


def runs(problem: Problem, restarts: int) -> Iterator[Run]:
    """Runs that share a problem's candidates equally."""
    count, total = restarts + 1, problem.steps + 1
    for number in range(count):
        yield Run(number, total // count + (number < total % count), number == restarts)


def started(problem: Problem, ball: Linf, start: Start, stream: int) -> Tensor:
    """(N, 3, H, W) the clean images, or random ones of the budget.

    Args:
        problem: with the clean images.
        ball: the budget.
        start: which.
        stream: tells draws apart.
    """
    if start == "clean":
        return problem.clean
    radius = ball.radius / 255
    return ball.project(problem.clean + problem.uniform(-radius, radius, stream))

"""The step rule of APGD (Croce and Hein 2020, https://arxiv.org/abs/2003.01690, Algorithm 1), per image."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from .budgets import Linf
from .constraints import per_image

KEPT = 0.75
"""α: share of the signed step in an iterate; the rest is the step before."""
OFTEN = 0.75
"""ρ: share of steps that must have lowered the loss, or the step is halved."""


@dataclass
class Windows:
    """Between which steps the rule looks back: 22 % of all, and 3 % less each time, but at least 6 %."""

    steps: int
    length: int = field(init=False)
    since: int = 0

    def __post_init__(self) -> None:
        self.length = max(int(0.22 * self.steps), 1)

    def ends(self) -> bool:
        """Count a step; whether a window ends with it."""
        self.since += 1
        return self.since == self.length

    def next(self) -> None:
        """Begin another one."""
        self.length = max(self.length - max(int(0.03 * self.steps), 1), int(0.06 * self.steps), 1)
        self.since = 0


class AdaptiveSteps:
    """Signed steps with momentum that are halved, and begin again at the best image, where they get no further.

    Attributes:
        best: (N, 3, H, W) per image the iterate with the smallest loss.
    """

    def __init__(self, ball: Linf, start: Tensor, steps: int) -> None:
        self.ball = ball
        self.windows = Windows(steps)
        self.size = torch.full_like(start[:, :1, :1, :1], 2 * ball.radius / 255)
        self.before = self.best = start
        self.slope = torch.zeros_like(start)
        count = len(start)
        self.smallest = start.new_full((count,), torch.inf)
        self.last = -self.smallest  # nothing falls below it: the start is no step
        self.smallest_before = self.smallest
        self.falls = start.new_zeros(count)
        self.halved = torch.ones(count, dtype=torch.bool, device=start.device)
        self.first = True

    def after(self, x: Tensor, gradient: Tensor, loss: Tensor) -> Tensor:
        """The next iterate, (N, 3, H, W).

        Args:
            x: (N, 3, H, W) this one.
            gradient: of what is descended, alike.
            loss: (N,) by which progress is judged.
        """
        self.falls += loss < self.last
        self.last = loss
        better = loss < self.smallest
        self.best = torch.where(per_image(better), x, self.best)
        self.slope = torch.where(per_image(better), gradient, self.slope)
        self.smallest = torch.where(better, loss, self.smallest)
        if not self.first and self.windows.ends():
            back = per_image(self.judge())
            x, gradient = torch.where(back, self.best, x), torch.where(back, self.slope, gradient)
        found = self.step(x, gradient)
        self.before, self.first = x, False
        return found

    def judge(self) -> Tensor:
        """(N,) bool, the images that return to their best iterate, with half the step."""
        stuck = ~self.halved & (self.smallest >= self.smallest_before)
        self.halved = (self.falls <= OFTEN * self.windows.length) | stuck
        self.smallest_before = self.smallest
        self.size = torch.where(per_image(self.halved), self.size / 2, self.size)
        self.falls = torch.zeros_like(self.falls)
        self.windows.next()
        return self.halved

    def step(self, x: Tensor, gradient: Tensor) -> Tensor:
        """A signed step, mixed with the one before."""
        ahead = self.ball.project(x - self.size * gradient.sign())
        if self.first:
            return ahead
        return self.ball.project(x + KEPT * (ahead - x) + (1 - KEPT) * (x - self.before))

"""Images as tanh of a scaled and shifted anchor, the variables of Kang et al. 2020 (Eq. 2); they stay in [0, 1]."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .budgets import Linf
from .problem import Problem


@dataclass
class TanhImages:
    """The images tanh(W ⊙ a(I) + ξ) on [-1, 1], as images in [0, 1] that keep a budget.

    Attributes:
        scale: (N, 3, H, W) W.
        offset: (N, 3, H, W) ξ.
        start: (N, 3, H, W) the anchor a(I).
        ball: the budget, None for none.
    """

    scale: Tensor
    offset: Tensor
    start: Tensor
    ball: Linf | None

    def drawn(self) -> Tensor:
        """(N, 3, H, W) the images, clipped to the budget."""
        return self.bounded(self.free())

    def free(self) -> Tensor:
        """(N, 3, H, W) the images wherever they are: (tanh(x) + 1) / 2 is the logistic function of 2 x."""
        return torch.sigmoid(2 * torch.addcmul(self.offset, self.scale, self.start))

    def bounded(self, images: Tensor) -> Tensor:
        """Images within the budget, if there is one."""
        return images if self.ball is None else self.ball.project(images)

    @torch.no_grad()
    def hold(self) -> None:
        """Bring ξ back to where the image is within the budget: clipping alone would leave it without a gradient."""
        if self.ball is None:
            return
        free = self.free()
        held = self.bounded(free)
        self.offset.copy_(torch.where(held == free, self.offset, anchor(held) - self.scale * self.start))


def near(problem: Problem, start: Tensor, budget: float | None) -> TanhImages:
    """W and ξ drawn so that the images begin close to what tanh makes of the anchor `start`."""
    scale = problem.uniform(0.99, 1.01, stream=0).requires_grad_()
    offset = problem.uniform(-0.01, 0.01, stream=1).requires_grad_()
    return TanhImages(scale, offset, start, None if budget is None else problem.linf(budget))


def anchor(clean: Tensor) -> Tensor:
    """atanh of the image on [-1, 1], kept one level away from the ends, where it is infinite."""
    return torch.atanh((2 * clean - 1).clamp(-1 + 1 / 255, 1 - 1 / 255))

"""Values that are rounded while the gradient passes (straight-through, Bengio et al. 2013, arXiv:1308.3432)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class StraightThrough(torch.autograd.Function):
    """y = rounding(x), dy/dx = 1."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rounding: Callable[[Tensor], Tensor]) -> Tensor:
        """Values to rounded values of the same type."""
        return rounding(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """The gradient as it comes."""
        return gradient, None


def straight_through(x: Tensor, rounding: Callable[[Tensor], Tensor]) -> Tensor:
    """rounding(x) with the gradient of x. rounding: gives a new tensor of the same type."""
    y: Tensor = StraightThrough.apply(x, rounding)  # type: ignore[no-untyped-call]
    return y


def rounded(values: Tensor) -> Tensor:
    """Values rounded to nearest; the gradient passes."""
    return straight_through(values, Tensor.round)

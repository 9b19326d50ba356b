"""Functions of single values: activations and roundings."""

from collections.abc import Callable
from math import inf
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from segeval.graphs.differentiable.node import FLOATS, LEVELS, Compute, Node
from segeval.graphs.differentiable.rounding import clamp
from segeval.models.straight_through import straight_through


class Slope(torch.autograd.Function):
    """y = x, at or below zero slope · x, with a constant slope.

    Its custom backward pass skips the gradient of the slope, which PyTorch's also prepares.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        """Values to values of the same shape."""
        ctx.save_for_backward(x, slope)
        return x.clamp(min=0).add_(x.clamp(max=0).mul_(slope))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Gradient to x."""
        x, slope = ctx.saved_tensors
        positive = x.sign().clamp_(min=0)  # torch.where takes ten times as long with the channels last
        return positive.mul_(1 - slope).add_(slope).mul_(gradient), None


def plain(function: Callable[[Tensor], Tensor]) -> Callable[[Node], Compute]:
    """A builder for an operator without attributes that PyTorch has as a function."""
    return lambda node: function


def rounded(rounding: Callable[[Tensor], Tensor]) -> Callable[[Node], Compute]:
    """A builder for a rounding, whose gradient passes straight through."""
    return lambda node: lambda x: straight_through(x, rounding)


def prelu(node: Node) -> Compute:
    """x, below zero x times a slope, which must be constant and no longer than x."""
    node.constant(1, "a slope")

    def compute(x: Tensor, slope: Tensor) -> Tensor:
        y: Tensor = Slope.apply(x, slope)  # type: ignore[no-untyped-call]
        return y

    return compute


def leaky_relu(node: Node) -> Compute:
    """x, below zero alpha · x."""
    alpha = node.attribute("alpha", 0.01)
    return lambda x: functional.leaky_relu(x, alpha)


def elu(node: Node) -> Compute:
    """x, below zero alpha · (exp(x) - 1)."""
    alpha = node.attribute("alpha", 1.0)
    return lambda x: functional.elu(x, alpha)


def celu(node: Node) -> Compute:
    """x, below zero alpha · (exp(x / alpha) - 1)."""
    alpha = node.attribute("alpha", 1.0)
    return lambda x: functional.celu(x, alpha)


def selu(node: Node) -> Compute:
    """gamma times x, below zero gamma · alpha · (exp(x) - 1)."""
    alpha, gamma = node.attribute("alpha", 1.6732631921768188), node.attribute("gamma", 1.0507010221481323)
    return lambda x: gamma * functional.elu(x, alpha)


def hard_sigmoid(node: Node) -> Compute:
    """alpha · x + beta, cut to [0, 1]."""
    alpha, beta = node.attribute("alpha", 0.2), node.attribute("beta", 0.5)
    return lambda x: clamp(x * alpha + beta, 0, 1)


def hard_swish(node: Node) -> Compute:
    """x times x / 6 + 1 / 2, cut to [0, 1]."""
    return lambda x: x * clamp(x / 6 + 0.5, 0, 1)


def swish(node: Node) -> Compute:
    """x · sigmoid(alpha · x)."""
    alpha = node.attribute("alpha", 1.0)
    return lambda x: x * torch.sigmoid(x * alpha)


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)), also where the exponential overflows."""
    return torch.logaddexp(x, x.new_zeros(()))


def gelu(node: Node) -> Compute:
    """x times the normal distribution at x, or its approximation by tanh."""
    approximate = node.one_of("approximate", "none", "tanh")
    return lambda x: functional.gelu(x, approximate=approximate)


def clip(node: Node) -> Compute:
    """Cut to constant bounds; what lies exactly at a bound keeps its gradient."""
    bounds = [node.constant(place, "a bound").item() if node.has(place) else None for place in (1, 2)]
    if node.types[0] in FLOATS | LEVELS:
        lowest, highest = (end if bound is None else bound for bound, end in zip(bounds, (-inf, inf), strict=True))
        return lambda x, *_: clamp(x, lowest, highest)
    return lambda x, *_: x if bounds == [None, None] else torch.clamp(x, *bounds)


def softmax(function: Callable[[Tensor, int], Tensor]) -> Callable[[Node], Compute]:
    """A builder for softmax or its logarithm along an axis. function: of values and axis."""

    def build(node: Node) -> Compute:
        if node.version >= 13:
            axis = node.attribute("axis", -1)
            return lambda x: function(x, axis)
        first = node.attribute("axis", 1)
        # Until opset 12 all axes from this one on count as one.
        return lambda x: function(x.flatten(first % x.ndim), first % x.ndim).reshape(x.shape)

    return build


def dropout(node: Node) -> Compute:
    """Identity, as outside training."""
    node.attribute("ratio")
    node.attribute("seed")
    if node.has(2) and bool(node.constant(2, "training_mode")):
        raise node.refusal("training_mode")
    return lambda x, *_: x

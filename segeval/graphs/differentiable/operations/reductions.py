"""Sums, means and extremes along axes."""

from collections.abc import Callable

import torch
from torch import Tensor

from segeval.graphs.differentiable.node import Compute, Node

Reduction = Callable[[Tensor, list[int], bool], Tensor]


def reduction(function: Reduction, input_since: int, idle: bool = False) -> Callable[[Node], Compute]:
    """A builder for a reduction.

    Args:
        function: Of values, axes, and whether to keep these with a size of 1.
        input_since: The version of the operator from which on the axes are an input.
        idle: Whether it does nothing to a single value, and so nothing at all where there are no axes.
    """

    def build(node: Node) -> Compute:
        axes = node.integers_since(input_since, "axes", 1)
        keep = bool(node.attribute("keepdims", 1))
        nothing = bool(node.attribute("noop_with_empty_axes", 0))
        if not axes and nothing:
            if not idle:
                raise node.refusal("noop_with_empty_axes without axes")
            return lambda x, *_: x
        return lambda x, *_: function(x, list(axes or range(x.ndim)), keep)

    return build


def absolute_sum(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    """Sum of absolute values."""
    return x.abs().sum(axes, keepdim=keep)


def euclidean(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    """Root of the sum of squares; its gradient at 0 is 0."""
    y: Tensor = torch.linalg.vector_norm(x, 2, axes, keep)
    return y


def squares(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    """Sum of squares."""
    return x.square().sum(axes, keepdim=keep)


def product(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    """Product, one axis after the other, the last one first."""
    for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
        x = x.prod(axis, keepdim=keep)
    return x


def sums(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    """Sum, in the type of the values."""
    return x.sum(axes, keepdim=keep, dtype=x.dtype)


def arg_extreme(function: Callable[..., Tensor]) -> Callable[[Node], Compute]:
    """A builder for the place of the largest or smallest value along an axis. Places have no gradient."""

    def build(node: Node) -> Compute:
        axis, keep = node.attribute("axis", 0), bool(node.attribute("keepdims", 1))
        if not node.attribute("select_last_index", 0):
            return lambda x: function(x, axis, keep)
        return lambda x: x.shape[axis] - 1 - function(x.flip(axis), axis, keep)

    return build

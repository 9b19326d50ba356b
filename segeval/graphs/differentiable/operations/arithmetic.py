"""Functions of several tensors, value by value: sums, products, comparisons, choices."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from segeval.graphs.differentiable.node import FLOATS, Compute, Node

Binary = Callable[[Tensor, Tensor], Tensor]


def binary(function: Binary) -> Callable[[Node], Compute]:
    """A builder for an operator of two tensors that PyTorch has as a function."""
    return lambda node: function


def variadic(function: Binary) -> Callable[[Node], Compute]:
    """A builder for an operator of one or more tensors, from left to right."""
    return lambda node: lambda *values: functools.reduce(function, values)


def division(node: Node) -> Compute:
    """Quotients; of integers towards zero."""
    if node.types[0] in FLOATS:
        return torch.div
    return lambda x, y: torch.div(x, y, rounding_mode="trunc")


def mean(node: Node) -> Compute:
    """The mean of tensors."""
    return lambda *values: functools.reduce(torch.add, values) / len(values)


def power(node: Node) -> Compute:
    """x to the y, in the type of x."""
    return lambda x, y: torch.pow(x, y).to(x.dtype)


def where(node: Node) -> Compute:
    """Of two tensors the first where a condition holds, else the second."""
    return torch.where

"""Normalizations with constant parameters, and along axes."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from segeval.graphs.differentiable.node import Compute, Node


class Affine(torch.autograd.Function):
    """y = (x - mean) / sqrt(variance + epsilon) · scale + shift, all of them constants of a channel.

    Its custom backward pass skips the gradients of the parameters, which PyTorch's also prepares.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, variance: Tensor, epsilon: float
    ) -> Tensor:
        """(N, C, …) to the same."""
        ctx.save_for_backward(scale * torch.rsqrt(variance + epsilon))
        return functional.batch_norm(x, mean, variance, scale, shift, False, 0.0, epsilon)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradient to x."""
        (factor,) = ctx.saved_tensors
        return gradient * factor.view(-1, *[1] * (gradient.ndim - 2)), None, None, None, None, None


def batch_normalization(node: Node) -> Compute:
    """With constant statistics, as outside training."""
    node.one_of("training_mode", 0)
    node.attribute("momentum")
    epsilon = node.attribute("epsilon", 1e-5)
    for place, what in enumerate(("a scale", "a shift", "a mean", "a variance"), 1):
        node.constant(place, what)

    def compute(x: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        y: Tensor = Affine.apply(x, scale, shift, mean, variance, epsilon)  # type: ignore[no-untyped-call]
        return y

    return compute


def instance_normalization(node: Node) -> Compute:
    """Every channel of every image by its own mean and variance."""
    epsilon = node.attribute("epsilon", 1e-5)
    return lambda x, scale, shift: functional.instance_norm(x, weight=scale, bias=shift, eps=epsilon)


def group_normalization(node: Node) -> Compute:
    """Every group of channels by its own mean and variance; scale and shift are of a channel."""
    node.one_of("stash_type", 1)
    groups, epsilon = node.attribute("num_groups"), node.attribute("epsilon", 1e-5)
    return lambda x, scale, shift: functional.group_norm(x, groups, scale, shift, epsilon)


def layer_normalization(node: Node) -> Compute:
    """By mean and variance over the axes from one on; on demand also that mean and 1 / standard deviation."""
    node.one_of("stash_type", 1)
    first, epsilon = node.attribute("axis", -1), node.attribute("epsilon", 1e-5)

    def compute(x: Tensor, scale: Tensor, shift: Tensor | None = None) -> Tensor:
        shape = x.shape[first % x.ndim :]
        y = functional.layer_norm(x, shape, None, None, epsilon) * scale
        return y if shift is None else y + shift

    def with_statistics(x: Tensor, scale: Tensor, shift: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        variance, mean = torch.var_mean(x, tuple(range(first % x.ndim, x.ndim)), correction=0, keepdim=True)
        return compute(x, scale, shift), mean, torch.rsqrt(variance + epsilon)

    return compute if len(node.proto.output) == 1 else with_statistics

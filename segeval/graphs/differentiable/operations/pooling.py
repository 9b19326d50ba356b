"""Largest and mean values of windows, and of whole images."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from segeval.graphs.differentiable.node import Compute, Node
from segeval.graphs.differentiable.operations.windows import ByAxes, Window

AVERAGE: ByAxes = {
    1: functional.avg_pool1d,
    2: functional.avg_pool2d,
    3: functional.avg_pool3d,
}
LARGEST: ByAxes = {
    1: functional.max_pool1d,
    2: functional.max_pool2d,
    3: functional.max_pool3d,
}


def window_of(node: Node) -> Window:
    """The window of a pooling. Raises EngineError."""
    kernel = node.attribute("kernel_shape")
    if len(kernel) not in LARGEST:
        raise node.refusal(f"a kernel over {len(kernel)} axes")
    return Window.of(node, kernel)


def max_pool(node: Node) -> Compute:
    """The largest value of every window; of equal ones the first gets the gradient."""
    window = window_of(node)
    node.one_of("storage_order", 0)
    function, even = LARGEST[len(window.kernel)], window.even_pads()
    if even is not None and not window.ceil and all(2 * p <= k for p, k in zip(even, window.kernel, strict=True)):
        return lambda x: function(x, window.kernel, window.strides, even, window.dilations)

    def padded(x: Tensor) -> Tensor:
        return function(window.pad(x, -math.inf, beyond=True), window.kernel, window.strides, 0, window.dilations)

    return padded


def average_pool(node: Node) -> Compute:
    """The mean of every window, with or without what was added around the image."""
    window = window_of(node)
    if any(dilation != 1 for dilation in window.dilations):
        raise node.refusal("dilations")
    include = bool(node.one_of("count_include_pad", 0, 1))
    function, even = AVERAGE[len(window.kernel)], window.even_pads()
    if even is not None and not window.ceil and all(2 * p <= k for p, k in zip(even, window.kernel, strict=True)):
        return lambda x: function(x, window.kernel, window.strides, even, False, include)

    def padded(x: Tensor) -> Tensor:
        ones = torch.ones_like(x[:1, :1])
        counted = window.pad(ones, 1.0) if include else window.pad(ones, 0.0)
        missing = window.pad(ones, 0.0, beyond=True)
        sides = [each for m, c in zip(missing.shape[:1:-1], counted.shape[:1:-1], strict=True) for each in (0, m - c)]
        share = function(functional.pad(counted, sides), window.kernel, window.strides)
        return function(window.pad(x, 0.0, beyond=True), window.kernel, window.strides) / share

    return padded


def global_average(node: Node) -> Compute:
    """The mean of every channel."""
    return lambda x: x.mean(tuple(range(2, x.ndim)), keepdim=True)


def global_maximum(node: Node) -> Compute:
    """The largest value of every channel; equal ones share the gradient."""
    return lambda x: x.amax(tuple(range(2, x.ndim)), keepdim=True)

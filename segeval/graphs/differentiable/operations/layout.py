"""The same values in another shape or order."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from segeval.graphs.differentiable.node import Compute, Node


def transpose(node: Node) -> Compute:
    """Axes in another order, without one in reverse."""
    order = node.attribute("perm")
    return lambda x: x.permute(order if order is not None else tuple(reversed(range(x.ndim))))


def reshape(node: Node) -> Compute:
    """Another shape: 0 keeps the size of an axis, unless allowzero; -1 is what remains."""
    zero = bool(node.attribute("allowzero", 0))

    def compute(x: Tensor, shape: Tensor) -> Tensor:
        sizes = shape.tolist()
        return x.reshape([x.shape[n] if size == 0 and not zero else size for n, size in enumerate(sizes)])

    return compute


def flatten(node: Node) -> Compute:
    """A matrix: the axes before one, and the others."""
    axis = node.attribute("axis", 1)

    def compute(x: Tensor) -> Tensor:
        place = axis + x.ndim if axis < 0 else axis
        return x.reshape(math.prod(x.shape[:place]), math.prod(x.shape[place:]))

    return compute


def squeeze(node: Node) -> Compute:
    """Without axes of size 1: these, or all."""
    axes = node.integers_since(13, "axes", 1)

    def compute(x: Tensor, *_: Tensor) -> Tensor:
        if axes is None:
            return x.squeeze()
        if any(x.shape[axis] != 1 for axis in axes):
            raise node.refusal(f"axes {axes} of {tuple(x.shape)}")
        return x.squeeze(axes)

    return compute


def unsqueeze(node: Node) -> Compute:
    """With axes of size 1 at these places of the result."""
    axes = node.integers_since(13, "axes", 1) or []

    def compute(x: Tensor, *_: Tensor) -> Tensor:
        count = x.ndim + len(axes)
        for axis in sorted(axis % count for axis in axes):
            x = x.unsqueeze(axis)
        return x

    return compute


def expand(node: Node) -> Compute:
    """Repeated along axes of size 1 until the shape fits."""

    def compute(x: Tensor, shape: Tensor) -> Tensor:
        missing = [1] * (x.ndim - len(shape)) + shape.tolist()
        kept = [1] * (len(missing) - x.ndim) + list(x.shape)
        return x.expand([size if size != 1 else given for size, given in zip(missing, kept, strict=True)])

    return compute


def tile(node: Node) -> Compute:
    """Repeated along every axis, by the given numbers of times."""
    return lambda x, repeats: x.repeat(repeats.tolist())


def concat(node: Node) -> Compute:
    """Tensors one after the other along an axis."""
    axis = node.attribute("axis")
    return lambda *values: torch.cat(values, axis)


def depth_to_space(node: Node) -> Compute:
    """Channels as blocks of an image."""
    block, by_column = node.attribute("blocksize"), node.one_of("mode", "DCR", "CRD") == "CRD"

    def rows(x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        blocks = x.reshape(n, block, block, c // block**2, h, w).permute(0, 3, 4, 1, 5, 2)
        return blocks.reshape(n, c // block**2, h * block, w * block)

    return (lambda x: functional.pixel_shuffle(x, block)) if by_column else rows


def space_to_depth(node: Node) -> Compute:
    """Blocks of an image as channels."""
    block, by_column = node.attribute("blocksize"), node.one_of("mode", "DCR", "CRD") == "CRD"

    def rows(x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        blocks = x.reshape(n, c, h // block, block, w // block, block).permute(0, 3, 5, 1, 2, 4)
        return blocks.reshape(n, c * block**2, h // block, w // block)

    return (lambda x: functional.pixel_unshuffle(x, block)) if by_column else rows


def identity(node: Node) -> Compute:
    """The same."""
    return lambda x: x

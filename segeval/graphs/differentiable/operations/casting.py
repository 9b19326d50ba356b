"""From one type to another."""

import torch
from onnx import TensorProto
from torch import Tensor

from segeval.graphs.differentiable.node import FLOATS, INTEGERS, LEVELS, Compute, Node, dtype_of
from segeval.graphs.differentiable.rounding import clamp, to_half
from segeval.models.straight_through import straight_through

RANGES: dict[int, tuple[int, int]] = {
    TensorProto.INT4: (-8, 7),
    TensorProto.UINT4: (0, 15),
    TensorProto.INT8: (-128, 127),
    TensorProto.UINT8: (0, 255),
    TensorProto.INT16: (-32768, 32767),
    TensorProto.UINT16: (0, 65535),
}
"""The smallest and the largest level of each type."""


def cast(node: Node) -> Compute:
    """The same values in another type.

    Between floating point and levels of 8 bits the gradient passes as if nothing had happened; what is beyond the range
    of the levels, for which ONNX leaves the result open, is cut. An integer or a truth has none.
    """
    source, target = node.types[0], node.attribute("to")
    node.attribute("saturate")  # of types that are refused
    node.one_of("round_mode", "up")
    if target == TensorProto.FLOAT16:
        return lambda x: straight_through(x.to(node.working.dtype), to_half)
    if target in LEVELS:
        return to_levels(node, source, target)
    return lambda x: x.to(dtype_of(target, node.working))


def to_levels(node: Node, source: int, target: int) -> Compute:
    """Towards zero, within the range of the levels. Raises EngineError where values may have to wrap."""
    lowest, highest = RANGES[target]
    if source in LEVELS and lowest <= RANGES[source][0] and RANGES[source][1] <= highest:
        return lambda x: x
    if target not in (TensorProto.INT8, TensorProto.UINT8) or source in LEVELS:
        raise node.refusal(f"a cast to {TensorProto.DataType.Name(target)}")
    if source in FLOATS:
        return lambda x: clamp(straight_through(x, torch.trunc), lowest, highest).to(node.working.dtype)
    if source in INTEGERS:
        return lambda x: wrapped(x, lowest, highest).to(node.working.dtype)
    return lambda x: x.to(node.working.dtype)


def wrapped(x: Tensor, lowest: int, highest: int) -> Tensor:
    """Integers that wrap around at the ends of their range."""
    return (x - lowest) % (highest - lowest + 1) + lowest

"""QuantizeLinear, DequantizeLinear, and the two of them in a row.

ONNX Runtime's CPU divides and multiplies in float32 also where the scale is half precision, rounds half to even, and
rounds what it dequantizes to the type of the scale: so does this.
"""

from collections.abc import Callable

from onnx import TensorProto
from torch import Tensor

from segeval.graphs.differentiable.node import Compute, Node
from segeval.graphs.differentiable.operations.casting import RANGES
from segeval.graphs.differentiable.rounding import Quantize, QuantizeDequantize, to_half
from segeval.models.straight_through import straight_through

Spread = Callable[[Tensor, Tensor], Tensor]
"""Of a parameter and values: the parameter in a shape that fits the values."""


def quantize(node: Node) -> Compute:
    """Values to levels."""
    lowest, highest = range_of(node)
    fit = spread(node)

    def compute(x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
        shift = None if zero is None else fit(zero, x)
        q: Tensor = Quantize.apply(x, fit(scale, x), shift, lowest, highest)  # type: ignore[no-untyped-call]
        return q

    return compute


def dequantize(node: Node) -> Compute:
    """Levels, or integers of 32 bits, to values."""
    node.constant(1, "a scale")
    node.attribute("output_dtype")
    fit = spread(node)

    def compute(q: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
        levels = q.to(scale.dtype)
        if zero is not None:
            levels = levels - fit(zero, q)
        return levels * fit(scale, q)

    return (lambda *values: straight_through(compute(*values), to_half)) if node.half else compute


def pair(node: Node) -> Compute:
    """QuantizeLinear followed by DequantizeLinear with the same scale and zero-point, as one step.

    node: the former, with the type that the latter gives.
    """
    lowest, highest = range_of(node)
    fit, half = spread(node), node.half
    symmetric = not node.has(2) or not node.constant(2, "a zero-point").any()

    def compute(x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
        shift = None if zero is None or symmetric else fit(zero, x)
        y: Tensor = QuantizeDequantize.apply(x, fit(scale, x), shift, lowest, highest, half)  # type: ignore[no-untyped-call]
        return y

    return compute


def range_of(node: Node) -> tuple[int, int]:
    """The smallest and largest level that a QuantizeLinear gives. Raises EngineError."""
    node.constant(1, "a scale")
    node.attribute("saturate")  # of types that are refused
    node.one_of("precision", 0, TensorProto.FLOAT)
    given = node.attribute("output_dtype", 0)
    if node.has(2):
        node.constant(2, "a zero-point")
        given = node.types[2]
    return RANGES[given or TensorProto.UINT8]


def spread(node: Node) -> Spread:
    """How scale and zero-point are brought to the shape of the values: one, one per channel, or one per block."""
    axis, block = node.attribute("axis", 1), node.attribute("block_size", 0)
    scale = node.constant(1, "a scale")
    if block:
        return lambda each, x: each.repeat_interleave(block, axis).narrow(axis, 0, x.shape[axis])
    if scale.numel() == 1:
        return lambda each, x: each.reshape(())
    if scale.ndim != 1 or node.version < 13:
        raise node.refusal(f"a scale of {tuple(scale.shape)} without block_size")
    return lambda each, x: each.view([-1 if n == axis % x.ndim else 1 for n in range(x.ndim)])

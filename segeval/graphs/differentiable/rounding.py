"""Rounding with a useful gradient; that of PyTorch's own functions is 0.

A rounding passes the gradient on as if it did nothing (straight-through). Where values are cut to a range, what was cut
gets no gradient, and what lies within or exactly at a bound gets all of it: after a ReLU very many values lie exactly
at the lower bound of their quantizer. The gradient of PyTorch's clamp is not used: at a bound it differs between
versions.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class Clamp(torch.autograd.Function):
    """y = min(max(x, lowest), highest); dy/dx = 1 for lowest ≤ x ≤ highest, else 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, lowest: float, highest: float) -> Tensor:
        """Values to values within the bounds; of bounds in the wrong order the highest holds, as ONNX has it."""
        y = x.clamp(lowest, highest)
        ctx.save_for_backward(x == y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """The gradient where nothing was cut."""
        (kept,) = ctx.saved_tensors
        return gradient * kept, None, None


class Quantize(torch.autograd.Function):
    """q = cut(round(x / scale) + zero), whole numbers in floating point; dq/dx = 1 / scale where nothing was cut."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero: Tensor | None, lowest: int, highest: int) -> Tensor:
        """Values to levels."""
        levels = (x / scale).round_()
        if zero is not None:
            levels += zero
        cut = levels.clamp(lowest, highest)
        ctx.save_for_backward(levels == cut, scale)
        return cut

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradient to the values alone; scale and zero-point are constants."""
        kept, scale = ctx.saved_tensors
        return gradient * kept / scale, None, None, None, None


class QuantizeDequantize(torch.autograd.Function):
    """y = (cut(round(x / scale) + zero) - zero) * scale; dy/dx = 1 where nothing was cut, else 0."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, zero: Tensor | None, lowest: int, highest: int, half: bool
    ) -> Tensor:
        """Values to the nearest quantized value; half: rounded to half precision at the end."""
        levels = (x / scale).round_()
        if zero is not None:
            levels += zero
        cut = levels.clamp(lowest, highest)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(levels == cut)
        if zero is not None:
            cut -= zero
        cut *= scale
        return to_half(cut) if half else cut

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient where nothing was cut."""
        (kept,) = ctx.saved_tensors
        return gradient * kept, None, None, None, None, None


def to_half(x: Tensor) -> Tensor:
    """Values rounded to half precision, in the type that they had: infinite from 65,520 on."""
    return x.half().to(x.dtype)


def clamp(x: Tensor, lowest: float, highest: float) -> Tensor:
    """See `Clamp`. Of integers without a gradient."""
    y: Tensor = Clamp.apply(x, lowest, highest)  # type: ignore[no-untyped-call]
    return y

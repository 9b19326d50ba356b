"""Windows that slide over an image: kernel, strides, dilations and what is added around the image."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from segeval.graphs.differentiable.node import Node

ByAxes = Mapping[int, Callable[..., Tensor]]
"""A function of PyTorch for each number of axes of an image."""


@dataclass(frozen=True)
class Window:
    """A window along each axis of an image.

    Attributes:
        kernel: How many values it takes.
        strides: How far it moves.
        dilations: How far apart its values lie.
        pads: What is added at the beginning of every axis, then at the end of every axis; unused if `same`.
        same: "upper" or "lower" if so much is added that the image is divided by the strides, the odd one at that side.
        ceil: Whether a last window may begin inside and end beyond.
    """

    kernel: Sequence[int]
    strides: Sequence[int]
    dilations: Sequence[int]
    pads: Sequence[int]
    same: str = ""
    ceil: bool = False

    @classmethod
    def of(cls, node: Node, kernel: Sequence[int]) -> "Window":
        """The window of a node. Raises EngineError."""
        axes = len(kernel)
        auto = node.one_of("auto_pad", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
        pads = node.attribute("pads", [0] * 2 * axes)
        if auto != "NOTSET" and any(pads):
            raise node.refusal(f"auto_pad {auto} with pads")
        return cls(
            kernel,
            node.attribute("strides", [1] * axes),
            node.attribute("dilations", [1] * axes),
            pads,
            auto.removeprefix("SAME_").lower() if auto.startswith("SAME_") else "",
            bool(node.attribute("ceil_mode", 0)),
        )

    def even_pads(self) -> list[int] | None:
        """What is added at both ends of every axis; None where that differs or depends on the image."""
        axes = len(self.kernel)
        begin, end = list(self.pads[:axes]), list(self.pads[axes:])
        return None if self.same or begin != end else begin

    def span(self, axis: int) -> int:
        """From the first value of a window to its last."""
        return self.dilations[axis] * (self.kernel[axis] - 1) + 1

    def added(self, axis: int, size: int) -> tuple[int, int]:
        """What is added to an axis of this size before and after."""
        if not self.same:
            return self.pads[axis], self.pads[len(self.kernel) + axis]
        stride = self.strides[axis]
        total = max((math.ceil(size / stride) - 1) * stride + self.span(axis) - size, 0)
        return divided(total, self.same)

    def beyond(self, axis: int, size: int) -> int:
        """How far the last window reaches beyond an axis of this size and what is added to it."""
        begin, end = self.added(axis, size)
        if not self.ceil:
            return 0
        stride, whole = self.strides[axis], begin + size + end
        count = math.ceil((whole - self.span(axis)) / stride) + 1
        if (count - 1) * stride >= begin + size:  # it would begin in what is added
            count -= 1
        return max((count - 1) * stride + self.span(axis) - whole, 0)

    def pad(self, x: Tensor, value: float, beyond: bool = False) -> Tensor:
        """An image with what is added around it. beyond: and as far as the last window reaches."""
        pads: list[int] = []
        for axis in reversed(range(len(self.kernel))):
            begin, end = self.added(axis, x.shape[2 + axis])
            pads += [begin, end + (self.beyond(axis, x.shape[2 + axis]) if beyond else 0)]
        return functional.pad(x, pads, value=value) if any(pads) else x

    def crops(
        self, sizes: Sequence[int], full: Sequence[int], extra: Sequence[int], wanted: Sequence[int] | None
    ) -> list[int]:
        """What is to be added to a transposed convolution's full result, mostly less than 0, as `pad` takes it.

        Args:
            sizes: Of the image.
            full: Of the result before anything is cut off.
            extra: output_padding.
            wanted: output_shape, if it is given.
        """
        crops: list[int] = []
        for axis in reversed(range(len(self.kernel))):
            begin, end = self.pads[axis], self.pads[len(self.kernel) + axis]
            size = full[axis] + extra[axis]
            if wanted is not None:
                begin, end = divided(size - wanted[axis], self.same)
            elif self.same:
                begin, end = divided(size - sizes[axis] * self.strides[axis], self.same)
            crops += [-begin, extra[axis] - end]
        return crops


def divided(total: int, same: str) -> tuple[int, int]:
    """A total as a beginning and an end, the odd one at the end if `same` is upper."""
    small, large = total // 2, total - total // 2
    return (small, large) if same == "upper" else (large, small)

"""Parts of tensors, and what is added around them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from segeval.graphs.differentiable.node import Compute, Node


def gather(node: Node) -> Compute:
    """What lies at these places of an axis, counted from the end if negative."""
    axis = node.attribute("axis", 0)

    def compute(x: Tensor, places: Tensor) -> Tensor:
        at, size = axis % x.ndim, x.shape[axis]
        chosen = x.index_select(at, (places.flatten() % size).to(x.device))
        return chosen.reshape(x.shape[:at] + places.shape + x.shape[at + 1 :])

    return compute


def gather_elements(node: Node) -> Compute:
    """Choose one value along an axis for every element of the result."""
    axis = node.attribute("axis", 0)
    return lambda x, places: torch.gather(x, axis, (places.long() % x.shape[axis]).to(x.device))


def split(node: Node) -> Compute:
    """Parts along an axis: of given sizes, or of equal ones of which the last may be smaller."""
    axis, count = node.attribute("axis", 0), len(node.proto.output)
    sizes = node.integers_since(13, "split", 1)
    if node.attribute("num_outputs", count) != count:
        raise node.refusal(f"num_outputs for {count} outputs")

    def compute(x: Tensor, *_: Tensor) -> Sequence[Tensor]:
        return torch.split(x, sizes or -(-x.shape[axis] // count), axis)

    return compute


def slices(node: Node) -> Compute:
    """From a start to before an end, by a step, which may be negative, along some axes."""

    def compute(
        x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None
    ) -> Tensor:
        along = range(len(starts)) if axes is None else axes.tolist()
        by = [1] * len(starts) if steps is None else steps.tolist()
        for axis, *bounds in zip(along, starts.tolist(), ends.tolist(), by, strict=True):
            places = range(x.shape[axis])[slice(*bounds)]
            if places.step > 0:
                last = max(places.start, places.stop)
                index = [slice(None)] * (axis % x.ndim) + [slice(places.start, last, places.step)]
                x = x[tuple(index)]
            else:
                x = x.index_select(axis, torch.tensor(places, dtype=torch.long, device=x.device))
        return x

    return compute


def pad(node: Node) -> Compute:
    """A constant, or values of the image, added around it; negative pads cut off."""
    mode = node.one_of("mode", "constant", "reflect", "edge", "wrap")
    pads = node.integers(1, "pads") or []
    axes = node.integers(3, "axes")
    value = node.constant(2, "a value").item() if node.has(2) else 0
    if mode != "constant" and min(pads, default=0) < 0:
        raise node.refusal(f"negative pads with mode {mode}")

    def sides(x: Tensor) -> list[tuple[int, int]]:
        """What is added before and after every axis."""
        found = [(0, 0)] * x.ndim
        for place, axis in enumerate(range(x.ndim) if axes is None else axes):
            found[axis] = (pads[place], pads[len(pads) // 2 + place])
        return found

    def constant(x: Tensor, *_: Tensor) -> Tensor:
        return functional.pad(x, [each for side in reversed(sides(x)) for each in side], value=value)

    def mirrored(x: Tensor, *_: Tensor) -> Tensor:
        for axis, side in enumerate(sides(x)):
            if any(side):
                places = np.pad(np.arange(x.shape[axis]), side, mode=mode)
                x = x.index_select(axis, torch.from_numpy(places).to(x.device))
        return x

    return constant if mode == "constant" else mirrored

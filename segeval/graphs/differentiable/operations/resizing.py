"""Images of another size: by the nearest value, linearly, or by cubic polynomials.

What PyTorch's `interpolate` computes in the same way is left to it; everything else takes its values from a table of
places and weights per axis, as the operator's definition has it. Places are computed in float32, as in ONNX Runtime.
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from segeval.graphs.differentiable.node import Compute, Node

KERNELS = {3: {"linear": "linear"}, 4: {"linear": "bilinear", "cubic": "bicubic"}, 5: {"linear": "trilinear"}}
"""What PyTorch calls a mode, by number of axes."""
CUBIC = -0.75
"""The coefficient of PyTorch's polynomials."""


class Target(NamedTuple):
    """What becomes of an axis."""

    factor: np.float32
    size: int


class Resize:
    """A Resize.

    Attributes:
        mode: nearest, linear or cubic.
        places: How places of the result become places of the image (coordinate_transformation_mode).
        nearest: Which of two neighbours is the nearest (nearest_mode).
        coefficient: Of the cubic polynomials.
        inside: Whether neighbours outside the image count as nothing, instead of as the last one inside.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.mode = node.one_of("mode", "nearest", "linear", "cubic")
        kinds = ("align_corners", "asymmetric", "pytorch_half_pixel", "half_pixel_symmetric")
        self.places = node.one_of("coordinate_transformation_mode", "half_pixel", *kinds)
        self.nearest = node.one_of("nearest_mode", "round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
        self.coefficient = node.attribute("cubic_coeff_a", CUBIC)
        self.inside = bool(node.one_of("exclude_outside", 0, 1))
        self.policy = node.one_of("keep_aspect_ratio_policy", "stretch", "not_larger", "not_smaller")
        node.one_of("antialias", 0)
        node.attribute("extrapolation_value")  # of a mode that is refused
        self.axes: Sequence[int] | None = node.attribute("axes")
        if self.mode == "nearest" and self.inside:
            raise node.refusal("exclude_outside with mode nearest")

    def compute(
        self, x: Tensor, roi: Tensor | None = None, scales: Tensor | None = None, sizes: Tensor | None = None
    ) -> Tensor:
        """An image to one of the size that one of the others gives."""
        return self.resized(x, self.plan(x.shape, scales, sizes))

    def plan(self, shape: Sequence[int], scales: Tensor | None, sizes: Tensor | None) -> dict[int, Target]:
        """The plan for every axis that changes. Raises EngineError where ONNX's own implementations differ."""
        axes = [axis % len(shape) for axis in self.axes] if self.axes is not None else list(range(len(shape)))
        inputs = [shape[axis] for axis in axes]
        if sizes is not None and sizes.numel():
            factors, outputs = self.by_sizes(inputs, sizes.tolist())
        elif scales is not None:
            factors = [np.float32(scale) for scale in scales.tolist()]
            outputs = [math.floor(size * float(scale)) for size, scale in zip(inputs, factors, strict=True)]
        else:
            raise self.node.refusal("neither scales nor sizes")
        targets = {a: Target(f, o) for a, f, o in zip(axes, factors, outputs, strict=True) if f != 1}
        for axis, target in targets.items():
            self.require_clear(shape[axis], target)
        return targets

    def by_sizes(self, inputs: Sequence[int], sizes: Sequence[int]) -> tuple[list[np.float32], list[int]]:
        """Factors and sizes of the result along every axis."""
        factors = [np.float32(size) / np.float32(given) for size, given in zip(sizes, inputs, strict=True)]
        if self.policy == "stretch":
            return factors, list(sizes)
        factor = min(factors) if self.policy == "not_larger" else max(factors)
        return [factor] * len(inputs), [math.floor(float(factor) * size + 0.5) for size in inputs]

    def resized(self, x: Tensor, axes: dict[int, Target]) -> Tensor:
        """An image resized along some axes."""
        if self.is_native(x, axes):
            mode = KERNELS[x.ndim][self.mode]
            shape = [axes[axis].size if axis in axes else x.shape[axis] for axis in range(2, x.ndim)]
            return functional.interpolate(x, shape, mode=mode, align_corners=self.places == "align_corners")
        for axis, (factor, size) in axes.items():
            options = (self.mode, self.places, self.nearest, self.coefficient, self.inside)
            places, weights = table(x.shape[axis], size, float(factor), *options)
            x = combined(x, axis, places, weights)
        return x

    def require_clear(self, given: int, target: Target) -> None:
        """Refuse a factor that gives no whole size, or a size of 1, where these are not clear. given: the size."""
        factor, size = target
        whole = abs(given * float(factor) - size) < 1e-4
        if self.places == "align_corners" and not whole:
            raise self.node.refusal(f"align_corners from {given} to {size} by a factor of {factor}")
        if self.places == "pytorch_half_pixel" and size == 1 and self.mode != "linear":
            raise self.node.refusal(f"pytorch_half_pixel to a size of 1 with mode {self.mode}")

    def is_native(self, x: Tensor, axes: dict[int, Target]) -> bool:
        """Whether PyTorch computes the same."""
        exact = all(np.float32(size) / np.float32(x.shape[axis]) == factor for axis, (factor, size) in axes.items())
        known = self.mode in KERNELS.get(x.ndim, {}) and min(axes, default=0) >= 2 and exact
        cubic = self.mode != "cubic" or (self.coefficient == CUBIC and not self.inside)
        single = self.places == "pytorch_half_pixel" and any(size == 1 for _, size in axes.values())
        linear = self.mode != "linear" or not self.inside
        places = self.places in ("half_pixel", "pytorch_half_pixel", "align_corners")
        return known and cubic and linear and places and not single


@functools.lru_cache(maxsize=256)
def table(
    given: int, size: int, factor: float, mode: str, places: str, nearest: str, coefficient: float, inside: bool
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The places in an axis that each place of the result is made of, and their weights: (size, taps) each."""
    x = origins(given, size, np.float32(factor), places)
    if mode == "nearest":
        rounding = {
            "round_prefer_floor": np.ceil(x - np.float32(0.5)),
            "round_prefer_ceil": np.floor(x + np.float32(0.5)),
            "floor": np.floor(x),
            "ceil": np.ceil(x),
        }
        taps = rounding[nearest][:, None]
        weights = np.ones_like(taps, np.float64)
    else:
        low = np.floor(x)
        offsets = np.arange(2) if mode == "linear" else np.arange(-1, 3)
        taps = low[:, None] + offsets
        distance = np.abs(x.astype(np.float64)[:, None] - taps)
        weights = 1 - distance if mode == "linear" else cubic(distance, coefficient)
    if inside:
        weights = np.where((taps < 0) | (taps >= given), 0, weights)
        weights /= weights.sum(axis=1, keepdims=True)
    return np.clip(taps, 0, given - 1).astype(np.int64), weights


def origins(given: int, size: int, factor: np.float32, places: str) -> NDArray[np.float32]:
    """Where in the image each place of the result lies."""
    n, half = np.arange(size, dtype=np.float32), np.float32(0.5)
    if places == "asymmetric":
        return n / factor
    if places == "align_corners":
        return n * np.float32(given - 1) / np.float32(max(size - 1, 1))
    if places == "pytorch_half_pixel" and size == 1:
        return np.zeros(1, np.float32)
    x = (n + half) / factor - half
    if places == "half_pixel_symmetric":
        adjusted = np.float32(size) / (factor * np.float32(given))
        x = x + np.float32(given) / 2 * (1 - adjusted)
    return x


def cubic(distance: NDArray[np.float64], a: float) -> NDArray[np.float64]:
    """Weights of the cubic convolution with the coefficient a (Keys 1981)."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return np.where(distance <= 1, near, far)


def combined(x: Tensor, axis: int, places: NDArray[np.int64], weights: NDArray[np.float64]) -> Tensor:
    """Sums of values of an axis by a table."""
    parts = []
    for tap in range(places.shape[1]):
        part = x.index_select(axis, torch.from_numpy(places[:, tap]).to(x.device))
        if weights.shape[1] > 1:
            weight = torch.from_numpy(weights[:, tap]).to(x)
            part = part * weight.view([-1 if n == axis else 1 for n in range(x.ndim)])
        parts.append(part)
    return functools.reduce(torch.add, parts)


def resize(node: Node) -> Compute:
    """See `Resize`. Raises EngineError."""
    found = Resize(node)
    scales, sizes = ([*node.stored, None, None, None][place] for place in (2, 3))
    if node.shape is not None and (scales is not None or sizes is not None):
        found.plan(node.shape, scales, sizes)
    return found.compute

"""Sets of allowed perturbations. Radii are in 0–255 levels, images in [0, 1]."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segeval.errors import ConfigurationError
from segeval.files.sets import Scope
from segeval.metrics import Mask

EPSILON = 1e-4
"""Levels by which an image may miss a whole level through rounding in float32."""


def require_budget(attack: str, budget: float) -> None:
    """Raise ConfigurationError unless saved images can use all of an L-infinity budget in levels."""
    if not 1 <= budget <= 255:
        raise ConfigurationError(
            f"{attack}: a budget of {budget:g} levels", "a saved 8-bit image changes by whole levels: 1 to 255"
        )
    if budget != int(budget):
        raise ConfigurationError(
            f"{attack}: a budget of {budget:g} levels", "give whole levels; --within limits the mean change instead"
        )


@dataclass(frozen=True)
class Linf:
    """Images with every channel of every pixel within `radius` levels of the clean ones, and within [0, 1].

    Attributes:
        radius: in levels.
        lowest: (N, 3, H, W) the smallest value that each may have.
        highest: (N, 3, H, W) the largest.
    """

    radius: float
    lowest: Tensor
    highest: Tensor

    def project(self, images: Tensor) -> Tensor:
        """The nearest images inside the budget."""
        return images.clamp(self.lowest, self.highest)

    def stepped(self, images: Tensor, direction: Tensor, size: float) -> Tensor:
        """Images after a step of `size` levels against the signs of a direction, as near as the budget allows."""
        moved = images.detach().add(direction.sign(), alpha=-size / 255)
        return torch.clamp(moved, self.lowest, self.highest, out=moved)


def linf(radius: float, clean: Tensor, free: Tensor) -> Linf:
    """The budget around clean images (N, 3, H, W), which may change only where `free` (N, 1, H, W) says."""
    if not 0 < radius <= 255:
        raise ConfigurationError(f"an L-infinity budget of {radius} levels", "budgets are above 0 and up to 255")
    margin = free.to(clean.dtype) * (radius / 255)
    return Linf(radius, (clean - margin).clamp_(min=0), (clean + margin).clamp_(max=1))


def mean_change(image: NDArray[np.uint8], clean: NDArray[np.uint8], phi: Mask, scope: Scope) -> float:
    """Mean absolute change between two 8-bit images (H, W, 3) in levels: over φ for the local scope, else over all."""
    size = np.abs(image.astype(np.int16) - clean)
    return float(size[phi].mean() if scope == "local" else size.mean())


def dithered(images: Tensor, lifts: Tensor) -> Tensor:
    """Images in [0, 1] in whole levels, rounded up with the probability of their fraction of a level.

    Args:
        images: (…, 3, H, W).
        lifts: added before they are rounded down: uniform random numbers from `EPSILON` to 1 - `EPSILON`.
    """
    return (images * 255).add_(lifts).floor_()


def to_bytes(
    image: Tensor, clean: NDArray[np.uint8], radius: float | None, lifts: NDArray[np.float32] | None = None
) -> NDArray[np.uint8]:
    """An image (3, H, W) in [0, 1] as 8-bit (H, W, 3): rounded to nearest, then kept within the budget.

    Args:
        image: (3, H, W) in [0, 1].
        clean: (H, W, 3), the 8-bit clean image.
        radius: L-infinity budget in whole levels, None for none.
        lifts: (3, H, W), with which it is `dithered` instead.
    """
    image = image.detach().cpu() if image.device.type == "mps" else image.detach()  # which has no float64
    exact = (image.double() * 255).round_() if lifts is None else dithered(image, torch.from_numpy(lifts).to(image))
    levels: NDArray[np.uint8] = exact.clamp_(0, 255).byte().permute(1, 2, 0).contiguous().cpu().numpy()
    if radius is None:
        return levels
    margin = np.uint8(radius)
    lowest = np.maximum(clean, margin) - margin
    highest = np.minimum(clean, 255 - margin) + margin
    return np.clip(levels, lowest, highest, out=levels)

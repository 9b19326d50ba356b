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


def linf(radius: float, clean: Tensor, free: Tensor) -> Linf:
    """The budget around clean images (N, 3, H, W), which may change only where `free` (N, 1, H, W) says."""
    if not 0 < radius <= 255:
        raise ConfigurationError(f"an L-infinity budget of {radius} levels", "budgets are above 0 and up to 255")
    margin = radius / 255
    lowest, highest = (clean - margin).clamp(min=0), (clean + margin).clamp(max=1)
    return Linf(radius, torch.where(free, lowest, clean), torch.where(free, highest, clean))


def mean_change(image: NDArray[np.uint8], clean: NDArray[np.uint8], phi: Mask, scope: Scope) -> float:
    """Mean absolute change between two 8-bit images (H, W, 3) in levels: over φ for the local scope, else over all."""
    size = np.abs(image.astype(np.int16) - clean)
    return float(size[phi].mean() if scope == "local" else size.mean())


def lifts(thresholds: Tensor) -> Tensor:
    """What is added to the size of a change before it is cut to whole levels: 1 minus a threshold in [0, 1)."""
    return (1 - EPSILON - thresholds).clamp_(min=0)


def dithered(levels: Tensor, clean: Tensor, lift: Tensor) -> Tensor:
    """Whole levels, a change rounded up where its fraction is above a threshold, and else down.

    Args:
        levels: (…, 3, H, W) of an image.
        clean: of the clean image, whole.
        lift: `lifts` of the thresholds.
    """
    change = levels - clean
    return change.add_(lift.copysign(change)).trunc_().add_(clean)


def to_bytes(
    image: Tensor, clean: NDArray[np.uint8], radius: float | None, thresholds: NDArray[np.float32] | None = None
) -> NDArray[np.uint8]:
    """An image (3, H, W) in [0, 1] as 8-bit (H, W, 3): rounded to nearest, then kept within the budget.

    Args:
        image: (3, H, W) in [0, 1].
        clean: (H, W, 3), the 8-bit clean image.
        radius: L-infinity budget in whole levels, None for none.
        thresholds: (3, H, W) in [0, 1); with them a change is rounded up where its fraction is above the threshold.
    """
    image = image.detach().cpu() if image.device.type == "mps" else image.detach()  # which has no float64
    before = torch.from_numpy(clean).permute(2, 0, 1).to(image)
    if thresholds is None:
        levels = (image.double() * 255).round()
    else:  # in the precision in which networks have seen it
        levels = dithered(image * 255, before, lifts(torch.from_numpy(thresholds).to(image)))
    if radius is not None:
        levels = levels.clamp(before - radius, before + radius)
    return levels.clamp(0, 255).byte().permute(1, 2, 0).contiguous().cpu().numpy()

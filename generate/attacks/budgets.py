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
    """Every channel of every pixel within `radius` levels of the clean image."""

    radius: float

    def __post_init__(self) -> None:
        if not 0 < self.radius <= 255:
            raise ConfigurationError(
                f"an L-infinity budget of {self.radius} levels", "budgets are above 0 and up to 255"
            )

    def project(self, images: Tensor, clean: Tensor) -> Tensor:
        """The nearest images inside the budget."""
        margin = self.radius / 255
        return images.clamp(clean - margin, clean + margin)


def mean_change(image: NDArray[np.uint8], clean: NDArray[np.uint8], phi: Mask, scope: Scope) -> float:
    """Mean absolute change between two 8-bit images (H, W, 3) in levels: over φ for the local scope, else over all."""
    size = np.abs(image.astype(np.int16) - clean)
    return float(size[phi].mean() if scope == "local" else size.mean())


def dithered(levels: Tensor, clean: Tensor, thresholds: Tensor) -> Tensor:
    """Whole levels, a change rounded up where its fraction is above the threshold, and else down.

    Args:
        levels: (…, 3, H, W) of an image.
        clean: of the clean image, whole.
        thresholds: in [0, 1).
    """
    change = levels - clean
    size = change.abs().sub_(thresholds).add_(1 - EPSILON).clamp_(min=0).floor_()
    return size.copysign_(change).add_(clean)


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
        levels = dithered(image * 255, before, torch.from_numpy(thresholds).to(image))
    if radius is not None:
        levels = levels.clamp(before - radius, before + radius)
    return levels.clamp(0, 255).byte().permute(1, 2, 0).contiguous().cpu().numpy()

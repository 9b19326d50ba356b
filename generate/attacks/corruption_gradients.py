"""What a camera does to images, with a gradient: differentiable forms of `segeval.corruptions`.

Where levels or coefficients are rounded the gradient passes as if they were not. Images are (N, 3, H, W) in 0–255
levels.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from segeval.corruptions import Corruption
from segeval.models import Network
from segeval.models.straight_through import rounded, straight_through

from .jpeg import jpeg

DARKEST = 0.25
"""Levels below which the slope of a gamma curve, infinite at black, is that of this level."""


class Behind:
    """A network behind a corruption, as a `Network`."""

    def __init__(self, network: Network, corruption: Corruption) -> None:
        self.network, self.corruption = network, corruption
        self.spec = network.spec

    def __call__(self, images: Tensor) -> Tensor:
        """Logits (N, C, H, W) of what the corruption leaves of images (N, 3, H, W) in [0, 1]."""
        return self.network(corrupted(images * 255, self.corruption) / 255)


def corrupted(levels: Tensor, corruption: Corruption) -> Tensor:
    """What comes out of a corruption, in whole levels."""
    return rounded(FORMS[corruption.name.partition("-")[0]](rounded(levels), corruption.setting)).clamp(0, 255)


def resize(levels: Tensor, factor: float) -> Tensor:
    """Made smaller, each pixel a mean weighted by a triangle, and as large as before."""
    height, width = levels.shape[-2:]
    small = (max(1, round(height * factor)), max(1, round(width * factor)))
    reduced = F.interpolate(levels, small, mode="bilinear", antialias=True, align_corners=False)
    return F.interpolate(rounded(reduced), (height, width), mode="bilinear", antialias=True, align_corners=False)


def gamma(levels: Tensor, exponent: float) -> Tensor:
    """Levels in 0..1 to the power of the exponent."""
    powers: Tensor = 255 * (levels.clamp(min=DARKEST) / 255) ** exponent
    return torch.where(levels > 0, powers, straight_through(powers, torch.zeros_like))


def blur(levels: Tensor, sigma: float) -> Tensor:
    """Gaussian, cut at four standard deviations; the border is repeated."""
    radius = int(4 * sigma + 0.5)
    offsets = torch.arange(-radius, radius + 1, dtype=levels.dtype, device=levels.device)
    weights = torch.exp(-((offsets / sigma) ** 2) / 2)
    kernel = (weights / weights.sum()).expand(3, 1, 1, -1)
    padded = F.pad(levels, (radius,) * 4, mode="replicate")
    smooth: Tensor = F.conv2d(F.conv2d(padded, kernel, groups=3), kernel.mT, groups=3)
    return smooth


def bits(levels: Tensor, depth: float) -> Tensor:
    """The highest bits, spread over 0..255."""
    most = (1 << int(depth)) - 1
    kept = (levels.detach() / (256 // (most + 1))).floor() * 255 / most
    return straight_through(levels, lambda levels: kept)


FORMS: Mapping[str, Callable[[Tensor, float], Tensor]] = {
    "jpeg": jpeg,
    "resize": resize,
    "gamma": gamma,
    "blur": blur,
    "bits": bits,
}
"""Per kind of `segeval.corruptions.KINDS`."""

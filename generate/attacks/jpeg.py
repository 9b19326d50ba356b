"""Baseline JPEG with a gradient: colours, 4:2:0, cosine transform, libjpeg's tables (ITU-T T.81, Annex K; JFIF 1.02).

Coefficients are rounded with a gradient of 1 (straight-through), so that an attack sees what quantization leaves of it.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from segeval.models.straight_through import rounded

BLOCK = 8
LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Steps of the brightness' coefficients at quality 50 (T.81, Table K.1)."""
CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
"""Those of the colours (Table K.2)."""
TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


def jpeg(levels: Tensor, quality: float) -> Tensor:
    """Images (N, 3, H, W) in 0–255 levels after saving and reading."""
    height, width = levels.shape[-2:]
    padded = F.pad(levels, (0, -width % (2 * BLOCK), 0, -height % (2 * BLOCK)), mode="replicate")
    planes = rounded(mixed(padded, TO_YCC))
    brightness, colours = planes[:, :1], planes[:, 1:]
    small = rounded(F.avg_pool2d(colours, 2))  # without the 128 that JFIF adds, which the transform takes off again
    brightness = coded(brightness - 128, table(LUMA, quality)) + 128
    wide = F.interpolate(coded(small, table(CHROMA, quality)), scale_factor=2, mode="bilinear", align_corners=False)
    return mixed(torch.cat([brightness, rounded(wide)], 1), TO_RGB)[..., :height, :width].clamp(0, 255)


def coded(plane: Tensor, steps: Tensor) -> Tensor:
    """A plane (N, C, H, W) about 0 after its coefficients were rounded to multiples of `steps`, (8, 8)."""
    n, c, height, width = plane.shape
    basis = cosines().to(plane)
    blocks = plane.view(n, c, height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(3, 4)
    steps = steps.to(plane)
    kept = rounded(basis @ blocks @ basis.T / steps) * steps
    return rounded(basis.T @ kept @ basis).transpose(3, 4).reshape(n, c, height, width).clamp(-128, 127)


def mixed(planes: Tensor, weights: tuple[tuple[float, ...], ...]) -> Tensor:
    """Sums of the three planes."""
    return torch.einsum("oc,nchw->nohw", planes.new_tensor(weights), planes)


@cache
def cosines() -> Tensor:
    """(8, 8) the orthonormal cosine transform, a row per frequency."""
    place = torch.arange(BLOCK, dtype=torch.float64)
    basis = torch.cos((2 * place + 1) * place[:, None] * torch.pi / (2 * BLOCK)) / 2
    basis[0] /= 2**0.5
    return basis


@cache
def table(steps: tuple[tuple[int, ...], ...], quality: float) -> Tensor:
    """(8, 8) steps at a quality of 1 to 100, as libjpeg scales them."""
    scale = 5000 // int(quality) if quality < 50 else 200 - 2 * int(quality)
    return ((torch.tensor(steps) * scale + 50) // 100).clamp(1, 255)

"""Pictures of a case, small enough for a page: what was shown, what was seen, what became of each attacked pixel."""

import io
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segeval.files.images import RgbImage
from segeval.goals import Goal
from segeval.metrics import Labels

from ..measure.survival import LabelMaps

Pixel = TypeVar("Pixel", np.uint8, np.int16)

PHOTO_QUALITY = 42
CHANGE_QUALITY = 30
"""WebP's, 0 to 100. Noise costs several times as much as a photo; half its size and less quality still show it."""
EFFORT = 4
"""WebP's, 0 to 6; the last two take twice the time for one or two percent."""
FATES = (
    ("survived", (213, 73, 17)),
    ("lost on the engine", (41, 121, 190)),
    ("on the engine alone", (240, 180, 60)),
    ("never reached", (118, 118, 118)),
)
"""What can become of a pixel of φ, and the colour of it."""


def picture_size(shape: tuple[int, int], longest: int) -> tuple[int, int]:
    """(width, height) of a picture of an image with this (height, width), its longer side at most `longest`."""
    height, width = shape
    scale = min(1.0, longest / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def photo(pixels: RgbImage, size: tuple[int, int]) -> bytes:
    """A reduced photo as lossy WebP. A perturbation of a few levels is not to be seen in it."""
    return _webp(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS), quality=PHOTO_QUALITY)


def painted(labels: Labels, colours: NDArray[np.uint8], size: tuple[int, int]) -> bytes:
    """A label map in its classes' colours as lossless WebP, 2.7 KB where a palette PNG takes 4.6.

    Args:
        labels: (H, W) class indices.
        colours: (256, 3).
        size: (width, height) of the picture.
    """
    return _webp(Image.fromarray(colours[decimated(labels, size)]), lossless=True)


def change_picture(clean: RgbImage, adversarial: RgbImage, size: tuple[int, int]) -> tuple[bytes, int]:
    """The perturbation around grey, at half the size, and by how much it is amplified."""
    change = adversarial.astype(np.int16) - clean
    factor = amplification(change)
    half = max(1, size[0] // 2), max(1, size[1] // 2)
    amplified = np.clip(128 + factor * decimated(change, half), 0, 255).astype(np.uint8)
    return _webp(Image.fromarray(amplified), quality=CHANGE_QUALITY), factor


def fates_picture(maps: LabelMaps, goal: Goal, size: tuple[int, int]) -> bytes:
    """The fates of φ as lossless WebP, transparent elsewhere."""
    return _webp(Image.fromarray(decimated(fates(maps, goal), size)), lossless=True)


def amplification(change: NDArray[np.int16]) -> int:
    """The power of two up to 64 that makes nearly all of a perturbation (in levels) as visible as 8 bits allow."""
    strong = float(np.percentile(np.abs(change), 99.5))
    return next((factor for factor in (64, 32, 16, 8, 4, 2) if factor * strong <= 127), 1)


def fates(maps: LabelMaps, goal: Goal) -> NDArray[np.uint8]:
    """(H, W, 4) RGBA: φ painted by what became of each pixel, transparent outside of it."""
    picture = np.zeros((*maps.phi.shape, 4), np.uint8)
    desktop = goal.reached(maps.desktop_adversarial, maps.reference)
    engine = goal.reached(maps.engine_adversarial, maps.reference)
    kinds = (desktop & engine, desktop & ~engine, ~desktop & engine, ~desktop & ~engine)
    for (_, colour), kind in zip(FATES, kinds, strict=True):
        picture[maps.phi & kind] = (*colour, 255)
    return picture


def decimated(pixels: NDArray[Pixel], size: tuple[int, int]) -> NDArray[Pixel]:
    """Every n-th pixel, so that neither labels nor noise are blended.

    Args:
        pixels: (H, W) or (H, W, 3).
        size: (width, height).
    """
    width, height = size
    rows = (np.arange(height) + 0.5) * pixels.shape[0] / height
    columns = (np.arange(width) + 0.5) * pixels.shape[1] / width
    taken: NDArray[Pixel] = pixels.take(rows.astype(int), axis=0).take(columns.astype(int), axis=1)
    return taken


def _webp(image: Image.Image, quality: int = 75, lossless: bool = False) -> bytes:
    return encoded(image, "WEBP", quality=quality, method=EFFORT, lossless=lossless)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """A picture as a file.

    Args:
        image: the picture.
        kind: a format that Pillow knows.
        **options: of that format.
    """
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()

"""Several pictures with their titles on one sheet: a PNG for the folder and a smaller one for the page."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from segeval.evaluate.report.panels import encoded
from segeval.files.images import RgbImage

LARGEST = 512
"""Width of a tile in pixels: larger pictures are reduced, much smaller ones enlarged by a whole factor."""
GAP, FONT_SIZE = 12, 13
PAGE = 1000
"""Width in pixels at which the page shows a sheet: the letters of wider ones are larger, so that they stay readable."""
PAPER, INK, MUTED = (255, 255, 255), (28, 29, 33), (98, 100, 108)
COLOURS = 128
"""Of a sheet inside the page."""


@dataclass(frozen=True)
class Tile:
    """One picture on a sheet.

    Attributes:
        pixels: (H, W, 3), already reduced.
        note: a second line, pale.
    """

    title: str
    note: str
    pixels: RgbImage


Rows = Sequence[Sequence[Tile | None]]


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """The typeface that comes with matplotlib, so that every machine draws the same pixels.

    Args:
        size: in pixels.
    """
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def tile_size(height: int, width: int, largest: int = LARGEST) -> tuple[int, int]:
    """(width, height) of a picture on a sheet."""
    scale = largest // width if width <= largest else largest / width
    return max(1, round(width * scale)), max(1, round(height * scale))


def tile(title: str, note: str, pixels: RgbImage, largest: int = LARGEST, smooth: bool = False) -> Tile:
    """A picture at its size on a sheet.

    Args:
        title: text above it.
        note: text below it.
        pixels: (H, W, 3) RGB.
        largest: (width, height) that it may have at most.
        smooth: reduce it like a photograph; labels and noise must not be blended.
    """
    size = tile_size(pixels.shape[0], pixels.shape[1], largest)
    how = Image.Resampling.LANCZOS if smooth and size[0] < pixels.shape[1] else Image.Resampling.NEAREST
    return Tile(title, note, np.asarray(Image.fromarray(pixels).resize(size, how), np.uint8))


def scaled(values: NDArray[np.floating] | NDArray[np.integer]) -> tuple[RgbImage, float, float]:
    """Eq. 9: (M − min) / (max − min) · 255 over all pixels and channels, and both ends.

    A map without any difference becomes middle grey.

    Args:
        values: (H, W, 3).
    """
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.full(values.shape, 128, np.uint8), low, high
    return np.rint((values.astype(np.float64) - low) / (high - low) * 255).astype(np.uint8), low, high


def draw(rows: Rows) -> RgbImage:
    """(H, W, 3) the tiles in rows, each with its title above; None leaves a place empty."""
    height, width, _ = np.max([each.pixels.shape for row in rows for each in row if each is not None], axis=0).tolist()
    across = width + GAP
    total = max(map(len, rows)) * across + GAP
    size = round(FONT_SIZE * max(1.0, total / PAGE))
    line = round(1.35 * size)
    down = height + 2 * line + GAP
    sheet = Image.new("RGB", (total, len(rows) * down + GAP), PAPER)
    pen = ImageDraw.Draw(sheet)
    for top, row in enumerate(rows):
        for left, each in enumerate(row):
            if each is not None:
                x, y = GAP + left * across, GAP + top * down
                pen.text((x, y), shortened(each.title, width, size), INK, font(size))
                pen.text((x, y + line), shortened(each.note, width, size), MUTED, font(size))
                sheet.paste(Image.fromarray(each.pixels), (x, y + 2 * line))
    return np.asarray(sheet, np.uint8)


def shortened(text: str, width: int, size: int = FONT_SIZE) -> str:
    """A text cut so that it is at most `width` pixels wide.

    Args:
        text: to be shown.
        width: in pixels.
        size: of the letters.
    """
    if font(size).getlength(text) <= width:
        return text
    while text and font(size).getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def uri_of(sheet: RgbImage) -> str:
    """The sheet as a data URI with few colours, for the page."""
    small = Image.fromarray(sheet).quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    return "data:image/png;base64," + base64.b64encode(encoded(small, "PNG", optimize=True)).decode()

"""The canvas: one buffer of part numbers from which image and labels both come.

Every polygon is drawn once, at twice the picture size, with the number of its
part. Colour, label and distance stand in a table of parts. The image is the
table's colours reduced 2x2 to 1 (anti-aliased); the labels are one sample of
each 2x2 block (not anti-aliased). So the two can not disagree.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from segeval.datasets.synthetic.camera import Point
from segeval.datasets.synthetic.sampling import Rgb, mixed

OVERSAMPLING = 2


class Canvas:
    """Part numbers at 2x and shadow strengths at 1x for a picture of `height` x `width`.

    All coordinates that its methods take are in pixels of the 2x buffer.
    """

    def __init__(self, height: int, width: int) -> None:
        self.height = height
        self.width = width
        size = (width * OVERSAMPLING, height * OVERSAMPLING)
        self._ids = Image.new("I", size, 0)
        self._draw = ImageDraw.Draw(self._ids)
        self.sun_shadow = Image.new("L", (width, height), 0)
        self.contact_shadow = Image.new("L", (width, height), 0)
        self._rgb: list[Rgb] = []
        self._label: list[int] = []
        self._depth: list[float] = []
        self._grain: list[float] = []

    def part(self, label: int, rgb: Rgb, depth: float, grain: float = 0.0) -> int:
        """A new part: train id, lit colour (0..255), distance in m, texture strength 0..1."""
        self._rgb.append(rgb)
        self._label.append(label)
        self._depth.append(depth)
        self._grain.append(grain)
        return len(self._label) - 1

    def fill(self, part: int, points: Sequence[Point]) -> None:
        """Draw a filled polygon of `part` over what is there."""
        self._draw.polygon([(round(u - 0.5), round(v - 0.5)) for u, v in points], fill=part)

    def glaze(self, label: int, rgb: Rgb, opacity: float, depth: float, points: Sequence[Point]) -> None:
        """Draw a see-through polygon: takes the label over, mixes the colour in.

        Needed where a label covers gaps through which the background is seen:
        the spokes of a wheel, the mesh of a fence.
        """
        box = self._bounds(points)
        if box is None:
            return
        left, top, right, bottom = box
        mask = Image.new("1", (right - left, bottom - top), 0)
        moved = [(round(u - 0.5) - left, round(v - 0.5) - top) for u, v in points]
        ImageDraw.Draw(mask).polygon(moved, fill=1)
        inside = np.asarray(mask)
        ids = np.array(self._ids.crop(box))
        present, where = np.unique(ids[inside], return_inverse=True)
        behind = [self._rgb[i] for i in present.tolist()]
        first = len(self._label)
        for colour in behind:
            self.part(label, mixed(colour, rgb, opacity), depth)
        ids[inside] = (first + where).astype(ids.dtype)
        self._ids.paste(Image.fromarray(ids), (left, top))

    def _bounds(self, points: Sequence[Point]) -> tuple[int, int, int, int] | None:
        """The polygon's box cut to the buffer, or None where nothing of it is inside."""
        us = [p[0] for p in points]
        vs = [p[1] for p in points]
        left, right = max(int(min(us)) - 1, 0), min(int(max(us)) + 2, self._ids.width)
        top, bottom = max(int(min(vs)) - 1, 0), min(int(max(vs)) + 2, self._ids.height)
        if left >= right or top >= bottom:
            return None
        return (left, top, right, bottom)

    def shade(self, image: Image.Image, strength: float, points: Sequence[Point]) -> None:
        """Draw a polygon of shadow (0..1) on one of the two shadow pictures."""
        moved = [(round(u / OVERSAMPLING - 0.5), round(v / OVERSAMPLING - 0.5)) for u, v in points]
        ImageDraw.Draw(image).polygon(moved, fill=round(255 * strength))

    def ids(self) -> NDArray[np.int32]:
        """Part numbers, (2H, 2W)."""
        return np.asarray(self._ids, dtype=np.int32)

    def table(self) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
        """Colour (P, 3), label (P,), distance (P,) and grain (P,) of the P parts."""
        return (
            np.asarray(self._rgb, dtype=np.float32).reshape(-1, 3),
            np.asarray(self._label, dtype=np.uint8),
            np.asarray(self._depth, dtype=np.float32),
            np.asarray(self._grain, dtype=np.float32),
        )

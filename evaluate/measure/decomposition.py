"""What decides whether a pixel's attack survives: pixels of φ sorted into bins by four properties, and counted there.

A pixel's bins depend on the attacked image and its network alone; engines differ in which pixels they show as the
adversarial class. So the bins are found once per sample and network, and an engine costs one `np.bincount`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segeval.goals import Goal
from segeval.metrics import Labels, Mask

from .report_records import Dimension

DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
MARGIN_EDGES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Logits at which a bin ends and the next begins."""
BORDER_EDGES = (2, 4, 8, 16)
"""Pixels; a pixel beside one outside φ is at distance 1."""
SIZE_EDGES = (4, 16, 64, 256, 1024, 4096, 16384)
"""Pixels of the connected part."""
EIGHT = np.ones((3, 3), np.bool_)
"""Neighbours of a pixel, across corners as well."""
COLUMNS = ("phi", "desktop_hit", "engine_hit", "survived")

Bins = NDArray[np.uint8]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Shape:
    """Where the pixels of φ lie, row by row. border, size: number of the bin of each."""

    phi: Mask
    border: Bins
    size: Bins

    @classmethod
    def of(cls, phi: Mask) -> "Shape":
        """Measure a mask (H, W)."""
        box = bounding_box(phi)
        inside = phi[box]  # the same pixels in the same order, and far fewer others
        distances, sizes = border_distances(inside)[inside], part_sizes(inside)[inside]
        return cls(phi, into_bins(distances, BORDER_EDGES), into_bins(sizes, SIZE_EDGES))


def bounding_box(phi: Mask) -> tuple[slice, slice]:
    """The smallest rectangle with every pixel of φ and, where the image goes on, a rim of one pixel around them."""
    rows, columns = np.flatnonzero(phi.any(axis=1)), np.flatnonzero(phi.any(axis=0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(max(rows[0] - 1, 0), rows[-1] + 2), slice(max(columns[0] - 1, 0), columns[-1] + 2)


def border_distances(phi: Mask) -> NDArray[np.integer[Any]]:
    """(H, W) steps to the nearest pixel outside φ, diagonal ones allowed; the edge of the image is no border of φ."""
    if phi.all():
        return np.full(phi.shape, BORDER_EDGES[-1], np.int64)
    distances: NDArray[np.integer[Any]] = ndimage.distance_transform_cdt(phi, "chessboard")
    return distances


def part_sizes(phi: Mask) -> NDArray[np.int64]:
    """(H, W) pixels of the connected part of φ that a pixel lies in."""
    parts, _ = ndimage.label(phi, EIGHT)
    sizes: NDArray[np.int64] = np.bincount(parts.ravel())[parts]
    return sizes


def into_bins(values: NDArray[Any], edges: tuple[float, ...]) -> Bins:
    """Number of the bin of each value; an edge belongs to the bin that begins there."""
    return np.searchsorted(np.array(edges), values, side="right").astype(np.uint8)


@dataclass(frozen=True)
class Bin:
    """One bin.

    Attributes:
        name: as in ``1–2``, or of a class.
        place: in the order of its dimension.
        low, high: its edges.
    """

    by: Dimension
    name: str
    place: int
    low: float | None = None
    high: float | None = None


def named_bins(outputs: tuple[str, ...]) -> tuple[Bin, ...]:
    """Every bin of a network, dimension after dimension.

    Args:
        outputs: class name of each of its outputs.
    """
    bins: Mapping[Dimension, Iterable[Bin]] = {
        "margin": spans("margin", 0, MARGIN_EDGES),
        "border": spans("border", 1, BORDER_EDGES),
        "size": spans("size", 1, SIZE_EDGES),
        "class": (Bin("class", name, place) for place, name in enumerate(outputs)),
    }
    return tuple(own for by in DIMENSIONS for own in bins[by])


def spans(by: Dimension, start: float, edges: tuple[float, ...]) -> Iterator[Bin]:
    """``0–0.25``, ``0.25–0.5``, … ``≥4``."""
    for place, (low, high) in enumerate(zip((start, *edges[:-1]), edges, strict=True)):
        yield Bin(by, f"{low:g}–{high:g}", place, float(low), float(high))
    yield Bin(by, f"≥{edges[-1]:g}", len(edges), float(edges[-1]))


class Decomposition:
    """The pixels of φ of one sample under one network, sorted into bins.

    Attributes:
        desktop_clean, desktop_adversarial: (H, W) labels.
        margins: over the pixels of φ, None if they were not saved.
        goal: what the attack wants.
        classes: outputs of the network.
        reference: as in `LabelMaps`.
    """

    def __init__(
        self,
        shape: Shape,
        desktop_clean: Labels,
        desktop_adversarial: Labels,
        margins: NDArray[np.floating[Any]] | None,
        goal: Goal,
        classes: int,
        reference: Labels | None = None,
    ) -> None:
        self.phi, self.goal = shape.phi, goal
        self._reference = None if reference is None else reference[shape.phi]
        self._sides = (len(MARGIN_EDGES) + 1, len(BORDER_EDGES) + 1, len(SIZE_EDGES) + 1, classes)
        self._has_margins = margins is not None
        hit = goal.reached(desktop_adversarial[shape.phi], self._reference)
        # A pixel that the desktop did not reach has no bin of its own by margin; it is left out of them below.
        lead = into_bins(margins, MARGIN_EDGES) if margins is not None else np.zeros(len(hit), np.uint8)
        keys = (lead, shape.border, shape.size, desktop_clean[shape.phi], hit)
        self._codes = np.ravel_multi_index(keys, (*self._sides, 2)).astype(np.intp)

    def count(self, engine_adversarial: Labels) -> Counts:
        """(bins, 4) pixels per bin of `named_bins` and column of `COLUMNS`, on one engine's label map (H, W).

        By margin only the pixels of A are counted, and none without margins.
        """
        codes = 2 * self._codes + self.goal.reached(engine_adversarial[self.phi], self._reference)
        shape = (*self._sides, 2, 2)  # …, hit on the desktop, hit on the engine
        joint = np.bincount(codes, minlength=int(np.prod(shape))).reshape(shape)
        found = []
        for axis, by in enumerate(DIMENSIONS):
            pixels = joint.sum(axis=tuple(other for other in range(len(self._sides)) if other != axis))
            if by == "margin":
                pixels = pixels * self._has_margins
                pixels[:, 0] = 0
            found.append(np.stack([pixels.sum((1, 2)), pixels[:, 1].sum(1), pixels[..., 1].sum(1), pixels[:, 1, 1]], 1))
        return np.concatenate(found).astype(np.int64)

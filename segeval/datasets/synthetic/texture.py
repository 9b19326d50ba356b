"""Noise: tiles for grain, and clouds.

Only sums and products of single elements are used, which every machine rounds alike.
"""

import numpy as np
from numpy.typing import NDArray

TILE = 256
Field = NDArray[np.float32]


def grain_tile(rng: np.random.Generator, coarse: int) -> Field:
    """A (TILE, TILE) periodic tile in [-1, 1]: white noise mixed with spots `coarse` wide."""
    fine = rng.random((TILE, TILE), dtype=np.float32)
    small = rng.random((TILE // coarse, TILE // coarse), dtype=np.float32)
    steps = np.arange(TILE) / coarse
    tile: Field = fine + sampled(small, steps, steps) - 1
    return tile


def sampled(grid: Field, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> Field:
    """The (R, C) periodic `grid` read smoothly at all pairs of `rows` (H,) and `columns` (W,), in cells."""
    top, down = _step(rows)
    left, right = _step(columns)
    high, wide = grid.shape
    bands = grid[top % high] * (1 - down)[:, None] + grid[(top + 1) % high] * down[:, None]
    start, stop = bands[:, left % wide], bands[:, (left + 1) % wide]
    read: Field = start + (stop - start) * right
    return read


def _step(places: NDArray[np.float64]) -> tuple[NDArray[np.int64], Field]:
    """The cell of each place and the eased way (0..1) to the next."""
    cells = np.floor(places)
    way = places - cells
    return cells.astype(np.int64), (way * way * (3 - 2 * way)).astype(np.float32)


def tiled(tile: Field, height: int, width: int) -> Field:
    """The tile repeated over (height, width)."""
    down, right = -(-height // TILE), -(-width // TILE)
    return np.tile(tile, (down, right))[:height, :width]


def clouds(rng: np.random.Generator, height: int, width: int, scale: int) -> Field:
    """Cloud density in 0..1 over the upper `height` rows of a picture `scale` pixels high.

    The pattern is fixed to the picture's height; a wider picture shows more of
    it on both sides.
    """
    rows = (np.arange(height) + 0.5) / scale
    columns = (np.arange(width) + 0.5 - width / 2) / scale
    total = np.zeros((height, width), dtype=np.float32)
    for cells, weight in ((3, 0.5), (6, 0.27), (13, 0.15), (27, 0.08)):
        # Half as many cells to the side as down, so that clouds lie flat.
        grid = rng.random((cells * 2, cells * 4), dtype=np.float32)
        total += sampled(grid, rows * (cells * 2), columns * cells) * np.float32(weight)
    return total

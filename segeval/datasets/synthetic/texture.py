"""Noise: tiles for grain, and clouds."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

TILE = 256


def grain_tile(rng: np.random.Generator, coarse: int) -> NDArray[np.float32]:
    """A (TILE, TILE) periodic tile in [-1, 1] of white noise mixed with spots `coarse` wide."""
    fine = rng.random((TILE, TILE), dtype=np.float32)
    small = rng.random((TILE // coarse, TILE // coarse), dtype=np.float32)
    spots = smooth(np.pad(small, ((0, 1), (0, 1)), mode="wrap"), TILE, TILE)
    tile: NDArray[np.float32] = (0.5 * fine + 0.5 * spots) * 2 - 1
    return tile.astype(np.float32)


def smooth(grid: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """`grid` (values 0..1) stretched to (height, width), corner to corner."""
    picture = Image.fromarray(np.rint(grid * 65535).astype(np.int32))
    rows, columns = grid.shape
    big = picture.resize((width, height), Image.Resampling.BILINEAR, box=(0.5, 0.5, columns - 0.5, rows - 0.5))
    return np.asarray(big, dtype=np.float32) / np.float32(65535)


def tiled(tile: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """The tile repeated over (height, width)."""
    down, right = -(-height // TILE), -(-width // TILE)
    return np.tile(tile, (down, right))[:height, :width]


def clouds(rng: np.random.Generator, height: int, width: int, rows: float) -> NDArray[np.float32]:
    """Cloud density in 0..1 over the sky, (height, width) pixels.

    `rows` is the picture's height in pixels: the pattern is fixed to it, and a
    wider picture shows more of the same pattern on both sides.
    """
    total = np.zeros((height, width), dtype=np.float32)
    for cells, weight in ((3, 0.5), (6, 0.27), (13, 0.15), (27, 0.08)):
        # Four picture heights wide and one high; stretched, so that clouds lie flat.
        grid = rng.random((cells * 2 + 1, cells * 4 + 1), dtype=np.float32)
        picture = Image.fromarray(np.rint(grid * 65535).astype(np.int32))
        scale = rows / (cells * 2)
        span, left = width / rows * cells, cells * 2 - width / rows * cells / 2
        area = (max(left, 0.0), 0.0, min(left + span, cells * 4 + 1.0), height / scale)
        big = picture.resize((width, height), Image.Resampling.BICUBIC, box=area)
        total += np.asarray(big, dtype=np.float32) * np.float32(weight / 65535)
    return total

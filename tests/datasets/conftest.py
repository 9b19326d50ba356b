from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Save = Callable[..., Path]


@pytest.fixture
def save() -> Save:
    """Write an image file, making its folder. Without pixels: a small random image, or a label file of zeros."""

    def write(path: Path, pixels: NDArray[np.generic] | None = None, labels: bool = False) -> Path:
        if pixels is None:
            noise = np.random.default_rng(len(path.name)).integers(0, 256, (6, 8, 3), dtype=np.uint8)
            pixels = np.zeros((6, 8), np.uint8) if labels else noise
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return path

    return write

"""Rendered street scenes as a dataset: no files, every scene drawn from its seed when asked for."""

from collections.abc import Sequence
from pathlib import Path

from segeval.classes import CITYSCAPES
from segeval.datasets.dataset import Example, Size
from segeval.datasets.splits import no_split
from segeval.datasets.synthetic.scene import MIN_HEIGHT, MIN_WIDTH, render_scene
from segeval.errors import DataError

SPLITS = {"train": (0, 2000), "val": (1_000_000, 100), "test": (2_000_000, 100)}
"""First seed and number of scenes of each split. The seeds of different splits never meet."""

DEFAULT_SIZE = (256, 512)


class SyntheticDataset:
    """Scenes of consecutive seeds, (height, width) = `size`."""

    def __init__(self, split: str, first_seed: int, length: int, size: Size) -> None:
        self.table = CITYSCAPES
        self.ids: Sequence[str] = tuple(f"synthetic-{split}-{index:06d}" for index in range(length))
        self._seeds = range(first_seed, first_seed + length)
        self._size = size

    def __len__(self) -> int:
        return len(self._seeds)

    def __getitem__(self, index: int) -> Example:
        """The scene at `index`, rendered now; the same at every call."""
        scene = render_scene(self._seeds[index], *self._size)
        return Example(self.ids[index], scene.image, scene.labels)


def open_synthetic(root: Path | None = None, split: str = "test", size: Size | None = None) -> SyntheticDataset:
    """2000 train, 100 val or 100 test scenes with Cityscapes classes, 256×512 unless `size` says otherwise.

    Raises DataError for an unknown split, a size too small for a scene, or if a folder is given.
    """
    if root is not None:
        raise DataError(f"the synthetic dataset has no files, so none in {root}", "leave out --data-root")
    if split not in SPLITS:
        raise no_split("synthetic", split, SPLITS)
    height, width = size or DEFAULT_SIZE
    if height < MIN_HEIGHT or width < MIN_WIDTH:
        raise DataError(f"a synthetic scene of {height}x{width} is too small", f"use at least {MIN_HEIGHT}x{MIN_WIDTH}")
    first_seed, length = SPLITS[split]
    return SyntheticDataset(split, first_seed, length, (height, width))

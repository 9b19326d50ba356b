"""Datasets: images with, where known, their ground truth, always as uint8 arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from segeval.classes import ClassTable
from segeval.errors import ConfigurationError
from segeval.metrics import Labels
from segeval.registry import DATASETS

Size = tuple[int, int]


@dataclass(frozen=True)
class Example:
    """One image. image: (H, W, 3) RGB uint8.   labels: (H, W) uint8 with IGNORE, or None if unknown."""

    id: str
    image: NDArray[np.uint8]
    labels: Labels | None


class Dataset(Protocol):
    """A sequence of examples of one split. Ids are unique and usable as file names."""

    table: ClassTable
    ids: Sequence[str]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Example:
        """The example at `index`, read now. Raises DataError naming the file that cannot be used."""
        ...


def open_dataset(name: str, root: Path | None = None, split: str = "test", size: Size | None = None) -> Dataset:
    """Open a registered dataset, or the user's own ``package.module:function``.

    root: its folder; None lets the dataset look at its usual place.   size: (height, width) to bring images to.
    Raises UnknownNameError, ConfigurationError for an impossible size, DataError if the folder or split is not there.
    """
    if size is not None and min(size) < 1:
        raise ConfigurationError(f"images cannot be {size[0]}x{size[1]}", "a size is height x width in pixels")
    dataset: Dataset = DATASETS.load(name)(root=root, split=split, size=size)
    return dataset

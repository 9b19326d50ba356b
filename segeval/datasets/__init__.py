"""Datasets: images with, where known, their ground truth, always as uint8 arrays."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from segeval.classes import ClassTable
from segeval.errors import ConfigurationError
from segeval.files.sets import Resize
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


def open_dataset(
    name: str, root: Path | None = None, split: str = "", size: Size | None = None, resize: Resize = "pillow"
) -> Dataset:
    """Open a registered dataset, or the user's own ``package.module:function``.

    root: its folder; None lets the dataset look at its usual place.   split: empty for the dataset's default.
    size: (height, width) to bring images to.   resize: how, if the dataset lets one choose.
    What its examples hold is checked when they are read.
    Raises UnknownNameError, ConfigurationError for an impossible size, DataError if the folder or split is not there.
    """
    from segeval.datasets.checked import CheckedDataset

    if size is not None and min(size) < 1:
        raise ConfigurationError(f"images cannot be {size[0]}x{size[1]}", "a size is height x width in pixels")
    function = DATASETS.load(name)
    choice = {"resize": resize} if "resize" in inspect.signature(function).parameters else {}
    return CheckedDataset(name, function(root=root, split=split or default_split(name), size=size, **choice))


def default_split(name: str) -> str:
    """The split that a dataset opens if none is asked for: the default of its function, "test" where that has none."""
    parameter = inspect.signature(DATASETS.load(name)).parameters.get("split")
    return parameter.default if parameter is not None and isinstance(parameter.default, str) else "test"

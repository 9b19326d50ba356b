"""Datasets: images with, where known, their ground truth, always as uint8 arrays."""

import inspect
from collections.abc import Sequence
from pathlib import Path

from segeval.classes import ClassTable
from segeval.datasets.checked import CheckedDataset
from segeval.datasets.dataset import Dataset, Example, Size
from segeval.errors import ConfigurationError
from segeval.files.sets import Resize
from segeval.registry import DATASETS

__all__ = ["Dataset", "Example", "Size", "default_split", "open_dataset"]


def open_dataset(
    name: str,
    root: Path | None = None,
    split: str = "",
    size: Size | None = None,
    resize: Resize = "pillow",
    table: ClassTable | None = None,
    ignore: Sequence[int] = (),
) -> CheckedDataset:
    """Open a registered dataset, or the user's own ``package.module:function``.

    Args:
        name: registered, or ``package.module:function``.
        root: its folder; None lets the dataset look at its usual place.
        split: empty for the dataset's default.
        size: (height, width) to bring images to.
        resize: how, if the dataset lets one choose. What its examples hold is checked when they are read.
        table: the classes of images of which the dataset itself does not say them: those of the network.
        ignore: values of label files that never count, in place of the dataset's own.

    Raises:
        UnknownNameError, ConfigurationError: for an impossible size, or `ignore` of a dataset that says itself what
            never counts; DataError if the folder or split is not there.
    """
    if size is not None and min(size) < 1:
        raise ConfigurationError(
            f"image size {size[0]}x{size[1]} is not possible", "a size is height x width in pixels"
        )
    function = DATASETS.load(name)
    offered = {"resize": resize, "table": table, "ignore": tuple(ignore)}
    known = inspect.signature(function).parameters
    if ignore and "ignore" not in known:
        raise ConfigurationError(f"--ignore: the dataset {name} says itself which labels never count", "leave it out")
    choice = {key: value for key, value in offered.items() if key in known}
    return CheckedDataset(name, function(root=root, split=split or default_split(name), size=size, **choice))


def default_split(name: str) -> str:
    """The split that a dataset opens if none is asked for: the default of its function, "test" where that has none."""
    parameter = inspect.signature(DATASETS.load(name)).parameters.get("split")
    return parameter.default if parameter is not None and isinstance(parameter.default, str) else "test"

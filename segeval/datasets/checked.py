"""A dataset whose examples are checked against `Example`, because a plug-in may return anything."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from segeval.classes import IGNORE, ClassTable
from segeval.datasets.dataset import Dataset, Example, Size
from segeval.datasets.file_names import require_name
from segeval.errors import DataError


class CheckedDataset:
    """A dataset that refuses examples of another form than `Example` says.

    Raises DataError for a class table that is none, and for ids that are no file names or occur twice.

    Attributes:
        name: of the dataset, for messages.
        left_out: names of images that belong to other splits, where the dataset tells.
        notes: what a person should know of how its files are read.
    """

    def __init__(self, name: str, dataset: Dataset) -> None:
        if not isinstance(getattr(dataset, "table", None), ClassTable):
            raise DataError(f"dataset {name}: its table is not a ClassTable", "see segeval/datasets/dataset.py")
        self.name = name
        self.table = dataset.table
        self.ids: Sequence[str] = tuple(dataset.ids)
        self.left_out: Sequence[str] = tuple(getattr(dataset, "left_out", ()))
        self.notes: Sequence[str] = tuple(getattr(dataset, "notes", ()))
        self._dataset = dataset
        if len(self.ids) != len(dataset):
            raise DataError(f"dataset {name}: it has {len(dataset)} examples and {len(self.ids)} ids")
        seen: set[str] = set()
        for each in self.ids:
            require_name(each, f"dataset {name}: id {each!r}")
            if each in seen:
                raise DataError(f"dataset {name}: the id {each!r} occurs twice", "give every example an id of its own")
            seen.add(each)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Example:
        """The example at `index`. Raises DataError naming the dataset and the field that is wrong."""
        example = self._dataset[index]
        where = f"dataset {self.name}, example {self.ids[index]}"
        if example.id != self.ids[index]:
            raise DataError(f"{where}: its id is {example.id!r}", "ids and examples must be in the same order")
        image, labels = example.image, example.labels
        require_array(image, f"{where}: image", "(H, W, 3)", lambda shape: len(shape) == 3 and shape[2] == 3)
        if labels is not None:
            size = image.shape[:2]
            require_array(labels, f"{where}: labels", f"({size[0]}, {size[1]})", lambda shape: shape == size)
            self.require_labels(labels, where)
        return example

    def sizes(self, indices: Sequence[int]) -> list[Size]:
        """(height, width) of image files before any resizing, empty for a dataset that does not tell."""
        size_of = getattr(self._dataset, "size_of", None)
        return [size_of(index) for index in indices] if size_of else []

    def told_of(self, indices: Sequence[int]) -> list[str]:
        """What a person should know of how these image files are read, where the dataset tells."""
        told = getattr(self._dataset, "told_of", None)
        return told(indices) if told else []

    def require_labels(self, labels: Any, where: str) -> None:
        """Raise DataError for labels that the class table does not have."""
        outside = labels[(labels >= len(self.table)) & (labels != IGNORE)]
        if outside.size:
            values = ", ".join(map(str, np.unique(outside)[:8]))
            raise DataError(
                f"{where}: labels holds {values}; the class table {self.table.name!r} has {len(self.table)} classes",
                f"give indices from 0 to {len(self.table) - 1}, and {IGNORE} for pixels that never count",
            )


def require_array(value: Any, where: str, shape: str, fits: Any) -> None:
    """Raise DataError unless `value` is a uint8 array of a shape that fits.

    Args:
        value: what was given.
        where: it comes from, for the message.
        shape: in words.
        fits: tells whether a shape fits.
    """
    if isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.size and fits(value.shape):
        return
    found = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
    raise DataError(f"{where} is {found}, not a uint8 array {shape}", "see segeval/datasets/dataset.py: Example")

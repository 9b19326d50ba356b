"""The dataset protocol: a sequence of examples of one split."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from segeval.classes import ClassTable
from segeval.metrics import Labels

Size = tuple[int, int]


@dataclass(frozen=True)
class Example:
    """One image.

    Attributes:
        image: (H, W, 3) RGB uint8.
        labels: (H, W) uint8 with IGNORE, or None if unknown.
    """

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

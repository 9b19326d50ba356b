"""Masks of 0 and 255, as for binary networks: what 255 means."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from segeval.classes import ClassTable
from segeval.datasets.files import Pair
from segeval.datasets.label_files import form_of, read_values
from segeval.datasets.meaning import Meaning
from segeval.errors import DataError

ENOUGH = 16
"""Label files after which 0 and 255 alone are believed."""

BLACK_AND_WHITE = {0: 0, 255: 1}


def is_black_and_white(pairs: Sequence[Pair]) -> bool:
    """Whether label files hold 0 and 255 alone, and both; files that cannot be read so are for others to judge.

    Looks at files spread over the dataset until there are enough that hold both, or one holds something else.
    """
    files = [pair.labels for pair in pairs if pair.labels is not None]
    stride = max(1, len(files) // ENOUGH)
    found: set[int] = set()
    for looked, file in enumerate(file for start in range(stride) for file in files[start::stride]):
        if looked >= ENOUGH and len(found) == 2:
            break
        try:
            if form_of(file.path, as_ids(file.meaning)) == "ids":
                found.update(np.unique(read_values(file.path, BLACK_AND_WHITE.keys())).tolist())
        except DataError:
            continue
        if not found <= BLACK_AND_WHITE.keys():
            return False
    return found == BLACK_AND_WHITE.keys()


def as_ids(meaning: Meaning) -> Meaning:
    """Black and white in equal channels are ids as well, unless the classes have colours."""
    return replace(meaning, values=BLACK_AND_WHITE, form=meaning.form or (None if meaning.colours else "ids"))


def black_and_white(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs with 255 as the second class instead of what never counts."""
    return [
        replace(pair, labels=replace(pair.labels, meaning=as_ids(pair.labels.meaning))) if pair.labels else pair
        for pair in pairs
    ]


def told_of_black_and_white(table: ClassTable) -> str:
    """A message on how such masks are read, and how to change it."""
    dark, bright = table.names
    return (
        f"masks contain only 0 and 255: 0 is read as {dark}, 255 as {bright}; if 255 is unlabelled, write "
        "ignore = [255] into classes.toml"
    )

"""Colours of classes in pictures and legends."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segeval.classes import ClassTable

BACKGROUND = (20, 20, 20)


@dataclass(frozen=True)
class LegendEntry:
    """A class or fate and its colour as #rrggbb."""

    name: str
    colour: str


def hexadecimal(colour: Sequence[int]) -> str:
    """#rrggbb of an RGB triple."""
    return "#" + "".join(f"{int(part):02x}" for part in colour)


def class_colours(table: ClassTable) -> NDArray[np.uint8]:
    """(256, 3) RGB lookup table for label maps; outputs beyond the class table are near black."""
    lookup = table.colours()
    lookup[len(table) :] = BACKGROUND
    return lookup

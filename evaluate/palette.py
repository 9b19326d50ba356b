"""Colours of classes in pictures."""

import numpy as np
from numpy.typing import NDArray

from segeval.classes import ClassTable

BACKGROUND = (20, 20, 20)


def class_colours(table: ClassTable) -> NDArray[np.uint8]:
    """(256, 3) RGB lookup table for label maps; outputs beyond the class table are near black."""
    lookup = table.colours()
    lookup[len(table) :] = BACKGROUND
    return lookup

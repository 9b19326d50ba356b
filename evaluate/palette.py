"""Colours of classes in pictures."""

import colorsys

import numpy as np
from numpy.typing import NDArray

from segeval.classes import TABLES

BACKGROUND = (20, 20, 20)
GOLDEN_ANGLE = 0.381966


def class_colours(table: str, outputs: int) -> NDArray[np.uint8]:
    """(256, 3) RGB lookup table for the label maps of a network with this many outputs.

    A known table keeps its published colours and gives outputs beyond it a near black; the user's own table gets
    hues that lie far apart.
    """
    if table in TABLES:
        lookup = TABLES[table].colours()
        lookup[len(TABLES[table]) :] = BACKGROUND
        return lookup
    lookup = np.full((256, 3), BACKGROUND, np.uint8)
    for index in range(min(outputs, 255)):
        hue, value = index * GOLDEN_ANGLE % 1, 0.85 if index % 2 else 0.6
        lookup[index] = [round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.62, value)]
    return lookup

"""Images of different sizes, which are resized to the one size of a set."""

from collections import Counter
from collections.abc import Sequence

from segeval.datasets.dataset import Size

SHOWN = 4
"""Sizes that are named; photographs from the web have one each."""

TOLERANCE = 0.01
"""Relative change of height : width that a rounded size makes and nobody calls stretching."""


def most_common(sizes: Sequence[Size]) -> Size:
    """The size that most images have; of equally common ones the first."""
    return Counter(sizes).most_common(1)[0][0]


def told_of_sizes(sizes: Sequence[Size], size: Size) -> str:
    """What is done to images of different sizes; empty if all have the one that is wanted.

    Args:
        sizes: (height, width) of the image files.
        size: what they are brought to.
    """
    counted = Counter(sizes)
    if set(counted) <= {size}:
        return ""
    named = ", ".join(f"{height}x{width} ({count})" for (height, width), count in counted.most_common(SHOWN))
    more = f" and {len(counted) - SHOWN} more sizes" if len(counted) > SHOWN else ""
    stretched = sum(count for each, count in counted.items() if is_stretched(each, size))
    text = f"images are {named}{more}: all are resized to {size[0]}x{size[1]}"
    return f"{text}, which stretches {stretched} of {len(sizes)} out of shape" if stretched else text


def is_stretched(size: Size, wanted: Size) -> bool:
    """Whether resizing an image from one size to another changes its aspect ratio."""
    return abs(size[0] * wanted[1] / (size[1] * wanted[0]) - 1) > TOLERANCE

"""What the pixels of label files mean: which class a value or a colour stands for, and what never counts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segeval.classes import IGNORE, ClassTable, Rgb

Form = Literal["ids", "colours"]
"""What a label file holds: numbers of classes, or a picture in the colours of the classes."""

MOST_VALUE = 65535
"""The largest value of a label file, which may have 16 bits."""
UNKNOWN = -1
"""What a value or a colour without meaning is translated into."""


@dataclass(frozen=True)
class Meaning:
    """What the pixels of label files mean.

    Attributes:
        values: an index into the class table, or IGNORE, for each value that a file of ids may hold.
        colours: the same for each colour; empty if files of colours cannot be read.
        form: of all files; None lets each file's own kind decide: a grey or palette picture holds ids, RGB colours.
        others: what every other value or colour means: UNKNOWN, which is refused, or IGNORE.
    """

    values: Mapping[int, int]
    colours: Mapping[Rgb, int] = field(default_factory=dict)
    form: Form | None = None
    others: int = UNKNOWN

    def of_values(self, stored: NDArray[np.uint8 | np.uint16]) -> NDArray[np.int16]:
        """Index, IGNORE or UNKNOWN for each value."""
        lookup = np.full(MOST_VALUE + 1, self.others, np.int16)
        lookup[list(self.values)] = list(self.values.values())
        return lookup[stored]

    def of_colours(self, stored: NDArray[np.uint8]) -> NDArray[np.int16]:
        """(H, W) index, IGNORE or UNKNOWN for each colour of (H, W, 3)."""
        known = sorted((packed(colour), index) for colour, index in self.colours.items())
        colours = np.array([colour for colour, _ in known], np.int64)
        indices = np.array([index for _, index in known], np.int16)
        pixels = stored.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
        places = np.searchsorted(colours, pixels).clip(max=len(known) - 1)
        return np.where(colours[places] == pixels, indices[places], np.int16(self.others)).astype(np.int16)


def packed(colour: Iterable[int]) -> int:
    """A colour as one number, as in #rrggbb."""
    red, green, blue = colour
    return red << 16 | green << 8 | blue


def hexadecimal(colour: Iterable[int]) -> str:
    """A colour as people write it, ``#804080``."""
    return f"#{packed(colour):06x}"


def label_values(table: ClassTable, ignored: int = IGNORE) -> Meaning:
    """Of label files that hold indices into `table`, and `ignored` for pixels that never count."""
    return Meaning({**{index: index for index in range(len(table))}, ignored: IGNORE})


def closest(colour: Iterable[int], known: Iterable[Rgb]) -> Rgb:
    """The known colour nearest to another one, in RGB."""
    wanted = tuple(colour)
    return min(known, key=lambda each: sum((a - b) ** 2 for a, b in zip(each, wanted, strict=True)))


def spans(values: Iterable[int]) -> str:
    """Values as text: ``0–11, 255``."""
    runs: list[list[int]] = []
    for value in sorted(values):
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)

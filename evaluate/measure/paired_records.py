"""The record of a paired difference, which a report and a comparison of two reports have."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

SIGNIFICANT = 0.05
"""A corrected p-value below this is called a difference."""


@dataclass(frozen=True)
class Paired:
    """Second minus first.

    Attributes:
        images: with both values.
        left_out: images without one of them.
        first, second, difference: means over the images.
        low, high: 95 % interval of the difference, None where all images differ alike.
        test: empty if there was none, as with fewer than two images.
        p: two-sided, not corrected.
    """

    images: int
    left_out: int
    first: float | None
    second: float | None
    difference: float | None
    low: float | None
    high: float | None
    test: Literal["", "permutation"]
    p: float | None


class Tested:
    """A record of a difference that is one of several: their number is one more chance of a false alarm."""

    paired: Paired
    p_holm: float | None

    @property
    def significant(self) -> bool:
        """Whether it is larger than chance explains."""
        return self.p_holm is not None and self.p_holm < SIGNIFICANT


def nested(said: object, member: str) -> object:
    """A JSON object with flat numbers in a list, with these numbers nested as `Paired`."""
    if not isinstance(said, Mapping) or not isinstance(said.get(member), list):
        return said
    return {**said, member: [_nested(each) for each in said[member]]}


def _nested(said: object) -> object:
    if not isinstance(said, Mapping):
        return said
    paired = {field.name for field in fields(Paired)} & said.keys()
    rest = {name: value for name, value in said.items() if name not in paired}
    return {**rest, "paired": {name: said[name] for name in paired}}

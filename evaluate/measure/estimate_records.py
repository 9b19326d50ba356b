"""Numbers over images that every record of a report is made of."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Estimate:
    """A share over images, each image counting once, and over all their pixels together.

    Attributes:
        mean: over images.
        low, high: its 95 % interval.
        pooled, pooled_low, pooled_high: the same for the pooled value.
        images: that entered.
        left_out: images of the row for which the share does not exist.
        method: how the interval of the mean was found; empty if there is none (one image, or all of them alike).
    """

    mean: float | None
    low: float | None
    high: float | None
    pooled: float | None
    pooled_low: float | None
    pooled_high: float | None
    images: int
    left_out: int
    method: Literal["", "BCa", "percentile"]


@dataclass(frozen=True)
class Perturbation:
    """Size of the perturbation in 0–255 levels, means over images; linf is the largest of all."""

    mean: float
    mean_phi: float
    l2: float
    linf: int

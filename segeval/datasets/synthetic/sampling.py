"""Small draws from a generator that are the same on every machine.

Only uniform draws are used: the tails of other distributions go through the
platform's `exp` and `log`, which need not agree to the last bit.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
Rgb = tuple[float, float, float]


def generator(*seed: int) -> np.random.Generator:
    """An independent PCG64 stream for the given non-negative integers."""
    return np.random.Generator(np.random.PCG64(seed))


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """A uniform draw from [low, high)."""
    return low + (high - low) * float(rng.random())


def chance(rng: np.random.Generator, probability: float) -> bool:
    """True with the given probability."""
    return float(rng.random()) < probability


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of `options`, all equally likely."""
    return options[int(rng.integers(len(options)))]


def vary(rng: np.random.Generator, rgb: Rgb, amount: float = 12.0) -> Rgb:
    """`rgb` (0..255) moved by up to `amount` per channel, mostly in brightness."""
    common = between(rng, -amount, amount)
    r, g, b = (c + common + between(rng, -0.3, 0.3) * amount for c in rgb)
    return (r, g, b)


def scaled(rgb: Rgb, factor: float) -> Rgb:
    """`rgb` made darker (`factor` < 1) or brighter (> 1)."""
    return (rgb[0] * factor, rgb[1] * factor, rgb[2] * factor)


def mixed(a: Rgb, b: Rgb, share: float) -> Rgb:
    """The colour `share` (0..1) of the way from `a` to `b`."""
    return (
        a[0] + (b[0] - a[0]) * share,
        a[1] + (b[1] - a[1]) * share,
        a[2] + (b[2] - a[2]) * share,
    )

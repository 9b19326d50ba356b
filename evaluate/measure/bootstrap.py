"""Bootstrap intervals of quotients of sums over images."""

import hashlib
import json
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

CONFIDENCE = 0.95
RESAMPLES = 9999
PIECE = 1 << 19
"""Images that are drawn and counted at a time."""
FEWEST_FOR_INTERVAL = 3
"""Images. Resamples of two have three values, whose range contains the truth in half of the cases."""
ROUNDING = 1e-12
"""Values that lie no further apart are equal."""

Floats = NDArray[np.float64]
Method = Literal["BCa", "percentile"]
Interval = tuple[float | None, float | None, Method | Literal[""]]
NO_INTERVAL: Interval = (None, None, "")


def derived(seed: int, *key: object) -> int:
    """The seed of one row.

    Rows draw independently of each other, and what one draws does not depend on which others there are.

    Args:
        seed: of the report.
        *key: names and numbers that tell the row from every other.
    """
    text = json.dumps([seed, *key])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")


def fraction(parts: Floats) -> Floats:
    """a / b, or (a / b) / (c / d), of the last axis of (..., 2 or 4); nan where something is divided by zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = parts[..., 0] / parts[..., 1]
        if parts.shape[-1] == 4:
            value = value / (parts[..., 2] / parts[..., 3])
    return np.where(np.isfinite(value), value, np.nan)


def averaged(values: Floats) -> Floats:
    """(images, 2) parts whose quotient of sums is the mean of (images,) values."""
    return np.stack([values, np.ones_like(values)], axis=1)


def widened(images: int) -> float:
    """The level to ask the bootstrap for, so that the interval holds the truth about as often as `CONFIDENCE` says.

    Resamples of n values vary less than the values themselves, by (n - 1) / n, and a normal quantile ignores that
    their spread is estimated. The correction (expanded intervals, Hesterberg 2015) asks for the level of Student's t
    instead: 0.968 for 20 images, 0.959 for 40. docs/survival.md has what was measured with it.
    """
    quantile = np.sqrt(images / (images - 1)) * stdtrit(images - 1, (1 + CONFIDENCE) / 2)
    return float(2 * ndtr(quantile) - 1)


def intervals(quantities: Sequence[Floats], seed: int) -> list[Interval]:
    """Bootstrap intervals of quotients of sums over the same images, and how each was found.

    Asked for at the level of `widened`. BCa; percentile where BCa does not exist (a statistic that no resample
    exceeds). None for n < 3, and none where all images are alike: every resample would give the same value, and the
    bootstrap would call the value certain.

    Args:
        quantities: (images, 2 or 4) each, as `fraction` takes them; all are resampled alike.
        seed: of the row.
    """
    found = [NO_INTERVAL] * len(quantities)
    varying = [place for place, parts in enumerate(quantities) if varies(parts)]
    if varying:
        exact = [on_grid(quantities[place]) for place in varying]
        for place, parts, drawn in zip(varying, exact, resampled(exact, seed), strict=True):
            found[place] = bounds(parts, drawn)
    return found


def interval(parts: Floats, seed: int) -> Interval:
    """`intervals` of a single quantity."""
    return intervals([parts], seed)[0]


def varies(parts: Floats) -> bool:
    """Whether there are images enough, and they differ in the quotient."""
    return len(parts) >= FEWEST_FOR_INTERVAL and bool(np.ptp(fraction(parts)) > ROUNDING)


def on_grid(parts: Floats) -> Floats:
    """The parts as multiples of such a power of two that sums of any of them, as many as there are, are exact.

    Then a sum has the same bits in every order, on every machine, and resamples that tie with the estimate do so.
    Counts of pixels stay what they are; others change in their 15th digit.
    """
    _, exponent = np.frexp(np.abs(parts).max(axis=0) * len(parts))
    shift = exponent - 52
    return np.asarray(np.ldexp(np.rint(np.ldexp(parts, -shift)), shift))


def resampled(quantities: Sequence[Floats], seed: int) -> list[Floats]:
    """Values of each quantity in `RESAMPLES` draws of as many images, with replacement: (`RESAMPLES`,) each."""
    images = len(quantities[0])
    columns = np.concatenate(quantities, axis=1)
    rng = np.random.default_rng(seed)
    sums = np.empty((columns.shape[1], RESAMPLES))
    rows = max(1, PIECE // images)
    for start in range(0, RESAMPLES, rows):
        drawn = rng.integers(0, images, (min(rows, RESAMPLES - start), images))
        sums[:, start : start + len(drawn)] = (times_drawn(drawn) @ columns).T
    places = np.cumsum([parts.shape[1] for parts in quantities])[:-1]
    return [fraction(part.T) for part in np.split(sums, places)]


def times_drawn(drawn: NDArray[np.int64]) -> Floats:
    """(draws, images) how often each image is in each draw.

    Args:
        drawn: (draws, images) numbers of images; is changed.
    """
    draws, images = drawn.shape
    drawn += np.arange(0, draws * images, images)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * images).reshape(draws, images).astype(np.float64)


def bounds(parts: Floats, drawn: Floats) -> Interval:
    """The interval of one quantity.

    Args:
        parts: (images, 2 or 4) on a grid.
        drawn: its values in the resamples.
    """
    level = widened(len(parts))
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    levels = corrected(parts, drawn, tails)
    exists = bool(np.isfinite(levels).all())
    low, high = quantiles(drawn, levels if exists else tails)
    return low, high, "BCa" if exists else "percentile"


def corrected(parts: Floats, drawn: Floats, tails: Floats) -> Floats:
    """The levels that BCa (Efron 1987) takes in the place of `tails`; nan where there are none."""
    total = parts.sum(axis=0)
    found = fraction(total)
    slack = ROUNDING * max(1.0, abs(float(found)))
    below, upto = np.mean(drawn < found - slack), np.mean(drawn <= found + slack)
    without = fraction(total - parts)
    change = without.mean() - without
    with np.errstate(divide="ignore", invalid="ignore"):
        acceleration = (change**3).sum() / (6 * (change**2).sum() ** 1.5)
        bias = ndtri((below + upto) / 2)
        shifted = bias + ndtri(tails)
        return np.asarray(ndtr(bias + shifted / (1 - acceleration * shifted)))


def quantiles(values: Floats, levels: Floats) -> tuple[float, float]:
    """Two quantiles, linear between neighbours."""
    places = levels * (len(values) - 1)
    below = np.floor(places).astype(np.intp)
    above = np.minimum(below + 1, len(values) - 1)
    ordered = np.partition(values, np.unique([below, above]))
    low, high = (ordered[below] + (ordered[above] - ordered[below]) * (places - below)).tolist()
    return low, high

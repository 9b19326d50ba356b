"""A 95 % interval holds the truth about 95 times in a hundred, also where success is spread very unevenly."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from segeval.evaluate import statistics
from segeval.evaluate.paired import mean
from segeval.evaluate.statistics import estimate, fraction, interval, widened

REPETITIONS = 1500
"""The standard error of a share of 95 % is then 0.6 points."""

Floats = NDArray[np.float64]
World = Callable[[np.random.Generator, int], Floats]


def counts(shares: Floats, sizes: Floats) -> Floats:
    """(images, 2): pixels that survived of those that were reached."""
    reached = np.floor(sizes) + 1
    return np.stack([np.round(shares * reached), reached], axis=1)


def all_or_nothing(rng: np.random.Generator, images: int) -> Floats:
    """Most images lose nearly everything, some keep it; some have a hundred times the pixels of others."""
    return counts(rng.beta(0.3, 1.0, images), np.exp(rng.normal(7, 1, images)))


def small_objects_first(rng: np.random.Generator, images: int) -> Floats:
    """The share falls with the size, and varies between images of one size."""
    sizes = np.exp(rng.normal(7, 1, images))
    return counts(1 / (1 + np.exp(np.log(sizes) - 7 + rng.normal(0, 1.5, images))), sizes)


@pytest.mark.parametrize(("world", "images"), [(all_or_nothing, 40), (small_objects_first, 40), (all_or_nothing, 20)])
def test_intervals_cover_what_they_say(world: World, images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 499)
    truth = float(fraction(world(np.random.default_rng(99), 1_000_000)).mean())
    rng, held = np.random.default_rng(images), 0
    for repetition in range(REPETITIONS):
        low, high, _ = interval((fraction(world(rng, images)),), mean, repetition)
        assert low is not None and high is not None
        held += low <= truth <= high
    assert 0.93 <= held / REPETITIONS <= 0.97


def test_the_fewer_the_images_the_wider_the_interval() -> None:
    levels = [widened(images) for images in (2, 10, 20, 40, 1000)]
    assert levels == sorted(levels, reverse=True)
    assert [round(level, 3) for level in levels] == [1.0, 0.983, 0.968, 0.959, 0.95]


def test_of_two_images_the_interval_is_their_range() -> None:
    found = estimate(np.array([[1.0, 4.0], [3.0, 4.0]]), 0)
    assert (found.low, found.high) == (0.25, 0.75)

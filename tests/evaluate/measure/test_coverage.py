"""A 95 % interval holds the truth about 95 times in a hundred, also where success is spread very unevenly."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from segeval.evaluate.measure import bootstrap
from segeval.evaluate.measure.bootstrap import averaged, fraction, interval, widened
from segeval.evaluate.measure.statistics import estimate

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


def alike(rng: np.random.Generator, images: int) -> Floats:
    """Shares spread around 0.4 of objects of one size: with 10 images it is the widening that 95 % rest on."""
    return counts(rng.beta(2, 3, images), np.full(images, 1000.0))


def small_objects_first(rng: np.random.Generator, images: int) -> Floats:
    """The share falls with the size, and varies between images of one size."""
    sizes = np.exp(rng.normal(7, 1, images))
    return counts(1 / (1 + np.exp(np.log(sizes) - 7 + rng.normal(0, 1.5, images))), sizes)


@pytest.mark.parametrize(
    ("world", "images"), [(all_or_nothing, 40), (small_objects_first, 40), (all_or_nothing, 20), (alike, 10)]
)
def test_intervals_cover_what_they_say(world: World, images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "RESAMPLES", 499)
    truth = float(fraction(world(np.random.default_rng(99), 1_000_000)).mean())
    rng, held = np.random.default_rng(images), 0
    for repetition in range(REPETITIONS):
        low, high, _ = interval(averaged(fraction(world(rng, images))), repetition)
        assert low is not None and high is not None
        held += low <= truth <= high
    assert 0.93 <= held / REPETITIONS <= 0.97


def test_the_fewer_the_images_the_wider_the_interval() -> None:
    levels = [widened(images) for images in (2, 10, 20, 40, 1000)]
    assert levels == sorted(levels, reverse=True)
    assert [round(level, 3) for level in levels] == [1.0, 0.983, 0.968, 0.959, 0.95]


@pytest.mark.parametrize("text", ["docs/survival.md", "evaluate/report/templates/methods.html.j2"])
def test_what_is_asked_for_and_what_images_alike_show_stands_in_the_text(text: str) -> None:
    told = " ".join((Path(__file__).parents[3] / text).read_text().split())
    ten, twenty, forty = (f"{100 * widened(images):.1f} %" for images in (10, 20, 40))
    assert f"{ten} for 10 images, {twenty} for 20, {forty} for 40" in told
    for images in (10, 20, 40):
        assert re.search(rf"{100 * (1 - 0.05 ** (1 / images)):.0f} % (with|after) {images}\b", told)


def test_two_images_are_too_few_for_an_interval() -> None:
    found = estimate(np.array([[1.0, 4.0], [3.0, 4.0]]), 0)
    assert (found.mean, found.low, found.high) == (0.5, None, None)

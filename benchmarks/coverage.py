"""How often the intervals of a report hold the truth, and how often its tests see a difference where there is none.

    python benchmarks/coverage.py [--repetitions 1000] [--images 5]

Prints the tables of docs/survival.md and docs/survival/coverage.csv. Images are drawn from distributions whose true
values are known, and the report's own functions are used on them. The standard error of a share of 95 % over 1000
repetitions is 0.7 points.
"""

import argparse
from collections.abc import Callable
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from segeval.evaluate.measure import bootstrap
from segeval.evaluate.measure.bootstrap import CONFIDENCE, fraction
from segeval.evaluate.measure.paired import compare
from segeval.evaluate.measure.statistics import estimate

IMAGES = (10, 20, 40, 80)
TRUTH_IMAGES = 4_000_000
LEVELS = (0.05, 0.01)

Floats = NDArray[np.float64]
World = Callable[[np.random.Generator, int], Floats]


def counts(shares: Floats, sizes: Floats) -> Floats:
    """(images, 2): pixels that survived, and pixels in all, from shares and the sizes of φ."""
    whole = np.floor(sizes) + 1
    return np.stack([np.round(shares * whole), whole], axis=1)


def heavy(rng: np.random.Generator, images: int) -> Floats:
    """Sizes of φ as in driving scenes: the largest hundredth is a hundred times the smallest."""
    return np.exp(rng.normal(7, 1, images))


def alike(rng: np.random.Generator, images: int) -> Floats:
    """Shares spread around 0.4, all images with the same φ."""
    return counts(rng.beta(2, 3, images), np.full(images, 1000.0))


def all_or_nothing(rng: np.random.Generator, images: int) -> Floats:
    """Most images lose nearly everything, some keep it; sizes of φ are heavy-tailed."""
    return counts(rng.beta(0.3, 1.0, images), heavy(rng, images))


def nearly_all(rng: np.random.Generator, images: int) -> Floats:
    """Nearly everything survives, but not on a few images; sizes of φ are heavy-tailed."""
    return counts(rng.beta(4, 0.4, images), heavy(rng, images))


def few_lose_half(rng: np.random.Generator, images: int) -> Floats:
    """Everything survives, but for one image in ten, which loses half; sizes of φ are heavy-tailed."""
    return counts(np.where(rng.random(images) < 0.1, 0.5, 1.0), heavy(rng, images))


def small_first(rng: np.random.Generator, images: int) -> Floats:
    """Small objects fall more easily than large ones; sizes of φ are heavy-tailed."""
    sizes = heavy(rng, images)
    return counts(1 / (1 + np.exp(np.log(sizes) - 7 + rng.normal(0, 1.5, images))), sizes)


WORLDS: dict[str, World] = {
    "shares alike, sizes equal": alike,
    "all or nothing": all_or_nothing,
    "nearly everything survives": nearly_all,
    "one in ten loses half": few_lose_half,
    "small objects fall first": small_first,
}


def coverage(world: World, images: int, repetitions: int) -> tuple[float, float, float]:
    """Share of the intervals that hold the true mean and the true pooled value, and of repetitions without any."""
    big = world(np.random.default_rng(99), TRUTH_IMAGES)
    truth, pooled = float(fraction(big).mean()), float(fraction(big.sum(axis=0)))
    held, made = np.zeros(2), 0
    rng = np.random.default_rng(images)
    for repetition in range(repetitions):
        found = estimate(world(rng, images), repetition)
        if found.low is not None and found.high is not None:
            made += 1
            held[0] += found.low <= truth <= found.high
        if found.pooled_low is not None and found.pooled_high is not None:
            held[1] += found.pooled_low <= pooled <= found.pooled_high
    mean_held, pooled_held = (held / made).tolist()
    return mean_held, pooled_held, 1 - made / repetitions


def false_alarms(world: World, images: int, repetitions: int) -> list[float]:
    """Share of the repetitions in which two measurements of one distribution differ at each of `LEVELS`."""
    rng = np.random.default_rng(images)
    p_values = []
    for repetition in range(repetitions):
        first, second = fraction(world(rng, images)), fraction(world(rng, images))
        p_values.append(compare(first, second, repetition).p or 0.0)
    return [float(np.mean(np.array(p_values) <= level)) for level in LEVELS]


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--repetitions", type=int, default=1000)
    options.add_argument("--images", type=int, action="append", help="repeatable")
    given = options.parse_args()
    repetitions, numbers = given.repetitions, given.images or IMAGES
    print("| images | how success is spread | mean | mean, plain BCa | pooled | pooled, plain BCa | no interval |")
    print("|---:|---|---:|---:|---:|---:|---:|", flush=True)
    for name, world in WORLDS.items():
        for images in numbers:
            mean, pooled, without = coverage(world, images, repetitions)
            with patch.object(bootstrap, "widened", lambda _: CONFIDENCE):
                plain_mean, plain_pooled, _ = coverage(world, images, repetitions)
            cells = (f"{100 * value:.1f}" for value in (mean, plain_mean, pooled, plain_pooled, without))
            print(f"| {images} | {name} | {' | '.join(cells)} |", flush=True)
    print(f"\n| images | {' | '.join(f'p ≤ {level}' for level in LEVELS)} |")
    print("|---:|---:|---:|", flush=True)
    for images in numbers:
        alarms = (f"{100 * share:.1f}" for share in false_alarms(all_or_nothing, images, repetitions))
        print(f"| {images} | {' | '.join(alarms)} |", flush=True)


if __name__ == "__main__":
    main()

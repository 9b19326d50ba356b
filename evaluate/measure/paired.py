"""Paired comparisons: two values per image, their mean difference, and whether it could be chance.

Images differ far more from each other than two engines or two attacks do on one image, so differences are taken within
images. The test exchanges the two values of each image at random, and asks how often the mean difference is as large
as the one that was found (a sign-flip permutation test). It assumes nothing
about how the values are distributed, and tests the very mean that is reported; Wilcoxon's ranks would test another
quantity, and could not use the many images on which both values are equal.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import permutation_test

from .bootstrap import Floats, averaged, fraction, interval
from .paired_records import SIGNIFICANT, Paired
from .statistics import per_image
from .survival import SampleCounts

FEWEST_PERMUTATIONS = 9999
MOST_PERMUTATIONS = 99_999
"""Of one test, so that a large family of tests ends within minutes."""
PERMUTATIONS_PER_TEST = 100
BATCH_ELEMENTS = 500_000


def permutations_for(tests: int) -> int:
    """Number of permutations of each test, `FEWEST_PERMUTATIONS` to `MOST_PERMUTATIONS`.

    The smallest p that r random permutations can give is 2 / (r + 1). Holm multiplies it by the number of tests, so
    with too few permutations nothing could be significant; from 2500 tests on the largest r is too few.
    """
    return min(max(FEWEST_PERMUTATIONS, PERMUTATIONS_PER_TEST * tests - 1), MOST_PERMUTATIONS)


def can_be_significant(images: int, tests: int) -> bool:
    """Whether a difference on this number of images can be significant at all, among this number of tests.

    There are 2 ** images ways to exchange the values, and no p-value is below 2 / 2 ** images, nor below that of the
    permutations that are drawn.
    """
    smallest = max(2.0 ** (1 - images), 2 / (permutations_for(tests) + 1))
    return smallest * tests < SIGNIFICANT


def paired_values(
    first: Sequence[SampleCounts], second: Sequence[SampleCounts], columns: Sequence[str]
) -> tuple[Floats, Floats]:
    """A share of `QUANTITIES` per image, (images,) of each, over the samples (image and task) that both have.

    Images without a common sample, and values that do not exist, are nan.
    """
    mine, others = ({(row.image, row.task): row for row in rows} for rows in (first, second))
    common = mine.keys() & others.keys()
    shared = dict.fromkeys(image for image, task in mine if (image, task) in common)
    lonely = {image for image, _ in mine.keys() ^ others.keys()} - shared.keys()
    blank = np.full(len(lonely), np.nan)
    values = []
    for rows in (mine, others):
        # In one order of images for both, whatever order their samples came in.
        kept = [rows[key] for key in mine if key in common]
        values.append(np.concatenate([fraction(per_image(kept, columns)), blank]))
    return values[0], values[1]


def compare(first: Floats, second: Floats, seed: int, permutations: int = FEWEST_PERMUTATIONS) -> Paired:
    """Compare two values per image, (images,) each, nan where one does not exist.

    The test is exact where all 2 ** images exchanges are at most `permutations`, else it draws that many. With 0 there
    is no test.
    """
    both = np.isfinite(first) & np.isfinite(second)
    images, left_out = int(both.sum()), int((~both).sum())
    if not images:
        return Paired(0, left_out, None, None, None, None, None, "", None)
    change = second[both] - first[both]
    low, high, _ = interval(averaged(change), seed)
    tested = images > 1 and permutations > 0
    return Paired(
        images=images,
        left_out=left_out,
        first=float(first[both].mean()),
        second=float(second[both].mean()),
        difference=float(change.mean()),
        low=low,
        high=high,
        test="permutation" if tested else "",
        p=p_value(change, seed, permutations) if tested else None,
    )


def p_value(change: Floats, seed: int, permutations: int) -> float:
    """Two-sided p of a mean difference: its signs are flipped image by image."""
    if not change.any():
        return 1.0
    found = permutation_test(
        (change,),
        mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=permutations,
        batch=max(1, BATCH_ELEMENTS // len(change)),
        axis=-1,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def mean(sample: Floats, axis: int = -1) -> Floats:
    """Mean along an axis, of values in one order in memory: a sum's last digit decides ties with the estimate."""
    return np.asarray(np.ascontiguousarray(sample).mean(axis))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's correction (1979): the chance that any of the tests finds a difference where there is none stays below.

    The smallest p is multiplied by the number of tests, the next by one less, and so on; none may be below the one
    before it. What was not tested, None, stays None and does not count.
    """
    order = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(order):
        highest = max(highest, min(1.0, p * (len(order) - rank)))
        corrected[index] = highest
    return corrected

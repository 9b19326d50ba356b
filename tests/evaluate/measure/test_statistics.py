"""Means, pooled values and intervals over images."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap

from segeval.evaluate.measure import bootstrap
from segeval.evaluate.measure.bootstrap import RESAMPLES, derived, fraction, widened
from segeval.evaluate.measure.statistics import estimate, estimated, per_image, perturbation
from segeval.evaluate.measure.survival import SampleCounts
from segeval.evaluate.report.wording import with_interval

BLANK = SampleCounts(
    "s",
    "a",
    "t",
    "k",
    ("m",),
    "m",
    "e",
    100,
    10,
    8,
    6,
    5,
    1,
    3,
    2,
    None,
    None,
    None,
    None,
    None,
    None,
    1.0,
    2.0,
    3.0,
    4,
)


def counts_of(images: Sequence[str], survived: Iterable[int], reached: Iterable[int]) -> list[SampleCounts]:
    rows = zip(images, survived, reached, strict=True)
    return [replace(BLANK, image=image, survived=s, desktop_hit=r) for image, s, r in rows]


def test_mean_gives_images_and_pooled_gives_pixels_the_same_weight() -> None:
    found = estimate(np.array([[1.0, 10.0], [90.0, 90.0]]), 0)
    assert found.mean == pytest.approx((0.1 + 1.0) / 2)
    assert found.pooled == pytest.approx(91 / 100)


def test_samples_of_one_image_are_one_unit() -> None:
    together = per_image(counts_of("aab", (1, 2, 3), (4, 4, 6)), ("survived", "desktop_hit"))
    assert together.tolist() == [[3, 8], [3, 6]]


def test_repeating_every_image_does_not_narrow_the_interval() -> None:
    rng = np.random.default_rng(1)
    reached = rng.integers(20, 90, 12)
    survived = rng.binomial(reached, rng.random(12))
    names = [f"image {number}" for number in range(12)]
    once = estimate(per_image(counts_of(names, survived, reached), ("survived", "desktop_hit")), 0)
    rows = counts_of(names, survived, reached) * 3
    thrice = estimate(per_image(rows, ("survived", "desktop_hit")), 0)
    assert (thrice.low, thrice.high, thrice.mean, thrice.images) == (once.low, once.high, once.mean, 12)


def test_intervals_are_those_of_scipy() -> None:
    rng = np.random.default_rng(3)
    reached = rng.integers(1, 1000, 40).astype(float)
    parts = np.stack([np.floor(reached * rng.random(40)), reached], axis=1)
    found = estimate(parts, seed=7)
    options: dict[str, Any] = {"method": "BCa", "n_resamples": RESAMPLES}
    options["confidence_level"] = widened(40)
    mean = scipy_bootstrap((parts[:, 0] / parts[:, 1],), np.mean, rng=np.random.default_rng(7), **options)
    assert (found.low, found.high) == pytest.approx(tuple(mean.confidence_interval))
    pooled = scipy_bootstrap(
        (parts[:, 0], parts[:, 1]),
        lambda a, b, axis=-1: a.sum(axis) / b.sum(axis),
        paired=True,
        rng=np.random.default_rng(7),
        **options,
    )
    assert (found.pooled_low, found.pooled_high) == pytest.approx(tuple(pooled.confidence_interval))
    assert found.method == "BCa"


def test_seed_decides_the_interval() -> None:
    parts = np.random.default_rng(0).integers(1, 90, (20, 2)).astype(float)
    assert estimate(parts, 1) == estimate(parts, 1)
    assert estimate(parts, 1) != estimate(parts, 2)


def test_rows_draw_independently_of_each_other() -> None:
    seeds = [derived(0, "survival", ("m",), task) for task in (None, "a", "b")] + [derived(1, "survival", ("m",), "a")]
    assert len(set(seeds)) == 4 and seeds[1] == derived(0, "survival", ("m",), "a")
    parts = np.random.default_rng(0).integers(1, 90, (20, 2)).astype(float)
    ends = {(found.low, found.pooled_high) for found in (estimate(parts, seed) for seed in seeds)}
    assert len(ends) == 4, "rows with the same numbers need not have the same ends"


def test_an_interval_does_not_depend_on_how_much_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert RESAMPLES >= 9999
    parts = np.random.default_rng(0).integers(1, 90, (20, 4)).astype(float)
    once = estimate(parts, 4)
    monkeypatch.setattr(bootstrap, "PIECE", 777)
    assert estimate(parts, 4) == once


def test_sums_are_exact_in_any_order() -> None:
    rng = np.random.default_rng(0)
    parts = np.stack([rng.random(300), rng.normal(0, 40, 300), rng.integers(0, 1 << 31, 300).astype(float)], axis=1)
    exact = bootstrap.on_grid(parts)
    assert exact == pytest.approx(parts, rel=0, abs=1e-11)
    assert (exact[:, 2] == parts[:, 2]).all()
    shuffled = exact[rng.permutation(300)]
    assert all((sum(column) == sum(other)) for column, other in zip(exact.T, shuffled.T, strict=True))


def test_one_image_has_no_interval() -> None:
    found = estimate(np.array([[3.0, 4.0]]), 0)
    assert (found.mean, found.low, found.high, found.pooled_low, found.images, found.method) == (
        0.75,
        None,
        None,
        None,
        1,
        "",
    )


@pytest.mark.parametrize(
    "parts",
    [
        [[2.0, 4.0], [3.0, 6.0], [1.0, 2.0]],
        [[7.0, 7.0], [900.0, 900.0], [30.0, 30.0]],
        [[1.0, 10.0, 3.0, 10.0], [2.0, 20.0, 6.0, 20.0], [4.0, 12.0, 6.0, 6.0]],  # 1/3 but for rounding
    ],
)
def test_of_images_that_are_all_alike_the_bootstrap_knows_nothing(parts: list[list[float]]) -> None:
    found = estimate(np.array(parts), 0)
    assert found.mean == pytest.approx(fraction(np.array(parts))[0]) and found.images == 3
    assert (found.low, found.high, found.pooled_low, found.pooled_high, found.method) == (None, None, None, None, "")


def test_two_images_are_too_few_for_an_interval() -> None:
    two, three = (estimate(np.array([[1, 4], [3, 4], [2, 4]][:images], float), 0) for images in (2, 3))
    assert (two.mean, two.low, two.high, two.pooled_low, two.method) == (0.5, None, None, None, "")
    assert three.low is not None and three.method


def test_one_image_that_differs_makes_an_interval() -> None:
    found = estimate(np.array([[9.0, 9.0]] * 9 + [[8.0, 9.0]]), 0)
    assert found.low is not None and found.high is not None and found.low < found.mean <= found.high  # type: ignore[operator]
    assert found.method and found.pooled_low is not None and found.pooled_low < 1


def test_a_share_without_interval_stands_with_the_number_of_its_images() -> None:
    assert with_interval(estimate(np.full((4, 2), 9.0), 0)) == "100 % (4 images)"
    assert with_interval(estimate(np.array([[3.0, 4.0]]), 0)) == "75 % (1 image)"
    assert with_interval(estimate(np.array([[1.0, 4.0], [3.0, 4.0]]), 0)) == "50 % (2 images)"
    assert with_interval(estimate(np.zeros((2, 2)), 0)) == "–"


def test_images_without_the_share_are_left_out_and_counted() -> None:
    found = estimate(np.array([[1.0, 2.0], [0.0, 0.0], [np.nan, np.nan], [1.0, 4.0]]), 0)
    assert (found.mean, found.pooled, found.images, found.left_out) == (0.375, 2 / 6, 2, 2)


def test_pooled_value_is_over_the_same_images_as_the_mean() -> None:
    found = estimate(np.array([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 1.0, 50.0]]), 0)  # the second has no source pixel
    assert found.mean == found.pooled == pytest.approx((1 / 2) / (3 / 4))
    assert (found.images, found.left_out) == (1, 1)


def test_ratio_of_four_counts() -> None:
    assert fraction(np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx((1 / 2) / (3 / 4))
    assert np.isnan(fraction(np.array([1.0, 2.0, 0.0, 4.0])))


def test_perturbation_is_a_mean_over_images_with_the_largest_change_of_all() -> None:
    rows = [
        replace(BLANK, image=image, mean=mean, linf=linf)
        for image, mean, linf in (("a", 1, 3), ("a", 3, 9), ("b", 8, 2))
    ]
    found = perturbation(rows)
    assert (found.mean, found.linf) == (5.0, 9)


def test_quantities_that_are_bootstrapped_together_are_those_alone() -> None:
    rng = np.random.default_rng(5)
    quantities = []
    for number in range(8):
        parts = rng.integers(1, 100, (12, 4 if number % 3 == 0 else 2)).astype(float)
        parts[: number // 2, 1] = 0  # images for which it does not exist
        parts[:] = parts[-1] if number == 5 else parts  # all images alike
        quantities.append(parts)
    together = estimated(quantities, 3)
    assert together == [estimate(parts, 3) for parts in quantities]
    assert {found.left_out for found in together} == {0, 1, 2, 3}

"""Paired comparisons against what can be counted by hand, and how often they are wrong."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segeval.evaluate.measure.paired import (
    FEWEST_PERMUTATIONS,
    MOST_PERMUTATIONS,
    can_be_significant,
    compare,
    holm,
    p_value,
    paired_values,
    permutations_for,
)
from segeval.evaluate.measure.survival import SampleCounts

COLUMNS = ("survived", "desktop_hit")
NAN = float("nan")


def sample(image: str, survived: int, reached: int, task: str = "task") -> SampleCounts:
    """A sample of which only these counts matter; it has no ground truth."""
    counts = (100, 10, reached, survived, survived, 0, 0, 0)
    truth = (None,) * 6
    return SampleCounts(image, image, task, "attack", ("model",), "model", "engine", *counts, *truth, 1.0, 2.0, 3.0, 4)


def exact_p(change: list[float]) -> float:
    """Twice the share of all ways to flip the signs that give a mean at least as far out on the rarer side."""
    means = np.array([np.mean(np.array(signs) * change) for signs in product((1, -1), repeat=len(change))])
    found, slack = np.mean(change), 1e-12
    above, below = float(np.mean(means >= found - slack)), float(np.mean(means <= found + slack))
    return min(1.0, 2 * above, 2 * below)


@given(st.lists(st.sampled_from([-0.5, -0.25, 0.0, 0.125, 0.5, 0.75]), min_size=2, max_size=8))
def test_p_is_the_share_of_all_exchanges(change: list[float]) -> None:
    assert p_value(np.array(change), 0, FEWEST_PERMUTATIONS) == pytest.approx(exact_p(change))


def test_p_of_many_images_is_estimated_by_seeded_exchanges() -> None:
    change = np.random.default_rng(5).normal(0.25, 1, 40)
    once = p_value(change, 3, 9999)
    assert once == p_value(change, 3, 9999) != p_value(change, 4, 9999)
    assert once == pytest.approx(p_value(change, 1, 199_999), abs=0.02)


def test_mean_difference_over_the_images_that_have_both_values() -> None:
    found = compare(np.array([0.1, 0.2, 0.3, NAN, 0.9]), np.array([0.3, 0.4, 0.8, 0.5, NAN]), seed=0)
    assert (found.images, found.left_out, found.test) == (3, 2, "permutation")
    assert (found.first, found.second, found.difference) == pytest.approx((0.2, 0.5, 0.3))
    assert found.low is not None and found.high is not None
    assert 0.2 - 1e-9 <= found.low < 0.3 < found.high <= 0.5 + 1e-9
    assert found.p == 2 / 8


def test_exchanging_the_sides_changes_the_sign_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random(12), rng.random(12)
    there, back = compare(first, second, 0), compare(second, first, 0)
    assert there.p == back.p
    assert there.difference is not None and back.difference == -there.difference
    assert there.low is not None and back.high == pytest.approx(-there.low, abs=0.02)


def test_pairing_finds_what_differences_between_images_would_hide() -> None:
    rng = np.random.default_rng(2)
    images = rng.beta(0.5, 0.5, 30)
    second = images - 0.02 - 0.01 * rng.random(30)
    found = compare(images, second, 0)
    assert found.p is not None and found.p < 0.001
    assert np.std(images) > 10 * abs(found.difference or 0)


def test_one_image_is_no_test_and_none_is_no_number() -> None:
    one = compare(np.array([0.5]), np.array([0.25]), 0)
    assert (one.difference, one.low, one.test, one.p, one.images) == (-0.25, None, "", None, 1)
    none = compare(np.array([NAN]), np.array([0.25]), 0)
    assert (none.first, none.difference, none.p, none.images, none.left_out) == (None, None, None, 0, 1)


def test_equal_values_are_no_difference() -> None:
    found = compare(np.full(9, 0.5), np.full(9, 0.5), 0)
    assert (found.difference, found.low, found.high, found.p) == (0.0, None, None, 1.0)


def test_differences_that_are_all_alike_have_no_interval_but_a_test() -> None:
    first = np.linspace(0.3, 0.8, 9)
    found = compare(first, first - 0.2, 0)  # alike but for rounding
    assert found.difference == pytest.approx(-0.2)
    assert (found.low, found.high, found.p) == (None, None, 2 / 2**9)


def test_what_is_not_to_be_tested_has_a_difference_and_an_interval() -> None:
    first, second = np.array([0.1, 0.2, 0.3]), np.array([0.3, 0.4, 0.8])
    tested, measured = compare(first, second, 0), compare(first, second, 0, permutations=0)
    assert measured == replace(tested, test="", p=None) != tested


def test_values_are_over_the_samples_that_both_have() -> None:
    first = [sample("a", 1, 4), sample("a", 2, 4, "other"), sample("b", 3, 6), sample("c", 4, 8)]
    second = [sample("c", 0, 8), sample("a", 4, 4), sample("d", 1, 1)]  # no second task of a, no b, and another order
    mine, theirs = paired_values(first, second, COLUMNS)
    assert mine[:2].tolist() == [1 / 4, 4 / 8]
    assert theirs[:2].tolist() == [4 / 4, 0 / 8]
    assert np.isnan(mine[2:]).all() and np.isnan(theirs[2:]).all() and len(mine) == len(theirs) == 4  # b and d


def test_a_value_that_does_not_exist_is_left_out() -> None:
    samples = [sample("a", 1, 2), sample("b", 0, 0)]
    found = compare(*paired_values(samples, samples, COLUMNS), 0)
    assert (found.images, found.left_out) == (1, 1)
    assert np.isnan(paired_values(samples, samples, ("engine_source_correct", "source"))).all()


def literal_holm(p_values: list[float]) -> list[float]:
    """Holm's rule as he wrote it: p of rank i (from 1) times m − i + 1, and the largest of these up to its rank."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected = [0.0] * len(p_values)
    for rank, index in enumerate(order):
        upto = [p_values[other] * (len(p_values) - place) for place, other in enumerate(order[: rank + 1])]
        corrected[index] = min(1.0, max(upto))
    return corrected


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, None, 0.03, 0.005]) == pytest.approx([0.03, 0.06, None, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == [] and holm([None]) == [None]


@given(st.lists(st.integers(0, 1000).map(lambda thousandths: thousandths / 1000), max_size=12))
def test_holm_is_the_literal_rule(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(literal_holm(p_values))


def test_many_tests_get_enough_permutations_to_be_significant() -> None:
    assert permutations_for(10) == permutations_for(100) == FEWEST_PERMUTATIONS
    numbers = [permutations_for(tests) for tests in (100, 101, 500, 1000)]
    assert numbers == sorted(set(numbers))
    for tests in (101, 1000, 2499):
        assert 2 / (permutations_for(tests) + 1) * tests < 0.05


def test_there_are_never_so_many_permutations_that_a_test_takes_long() -> None:
    assert permutations_for(1000) == permutations_for(1001) == permutations_for(10**6) == MOST_PERMUTATIONS
    assert can_be_significant(40, 2499) and not can_be_significant(4000, 2500)


def test_few_images_can_never_be_significant() -> None:
    assert not can_be_significant(5, 1) and can_be_significant(6, 1)
    assert not can_be_significant(6, 2)
    smallest = compare(np.zeros(6), np.arange(1.0, 7.0), 0).p
    assert smallest == 2 / 2**6


def test_no_more_false_alarms_than_promised() -> None:
    """Both sides from one distribution, heavy-tailed between the images: 5 % of the tests may say that they differ."""
    rng = np.random.default_rng(17)
    alarms, tests = 0, 1000
    for _ in range(tests):
        images = rng.beta(0.4, 1.0, 40)  # what the two measurements of an image share
        first, second = (np.clip(images + 0.2 * rng.standard_t(3, 40), 0, 1) for _ in range(2))
        alarms += p_value(second - first, 0, 999) <= 0.05
    # Three standard errors, sqrt(0.05 · 0.95 / 1000), around 5 %.
    assert 0.029 <= alarms / tests <= 0.071

"""Survival arithmetic against a slow reference that looks at one pixel after another, and by hand."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from segeval.classes import IGNORE
from segeval.evaluate.statistics import QUANTITIES, estimate, per_image
from segeval.evaluate.survival import LabelMaps, SampleCounts, count_sample
from segeval.records import AdversarialSample, Norms, TaskRecord

CLASSES = 4
TASK = TaskRecord("one-and-two-to-three", (1, 2), 3)
NORMS = Norms(0.5, 1.5, 20.0, 4)


def sample(image: str = "image") -> AdversarialSample:
    return AdversarialSample(
        f"{image}/task/attack/model", image, TASK.name, "attack", ("model",), 0, 0, NORMS, {}, {}, {}, ()
    )


def count(maps: LabelMaps, image: str = "image") -> SampleCounts:
    return count_sample(sample(image), TASK, "model", "model.int8", maps)


def slow_reference(maps: LabelMaps) -> dict[str, int | None]:
    """Every count of `SampleCounts`, straight from its definition."""
    names = ("pixels", "phi", "desktop_hit", "engine_hit", "survived", "clean_hit", "changed", "changed_phi")
    truths = ("source", "desktop_source_correct", "engine_source_correct")
    others = ("other", "desktop_other_correct", "engine_other_correct")
    counts = dict.fromkeys((*names, *truths, *others), 0)
    height, width = maps.phi.shape
    for y in range(height):
        for x in range(width):
            in_phi = bool(maps.phi[y, x])
            desktop = maps.desktop_adversarial[y, x] == 3
            engine = maps.engine_adversarial[y, x] == 3
            changed = maps.engine_clean[y, x] != maps.desktop_clean[y, x]
            counts["pixels"] += 1
            counts["changed"] += changed
            if in_phi:
                counts["phi"] += 1
                counts["desktop_hit"] += desktop
                counts["engine_hit"] += engine
                counts["survived"] += desktop and engine
                counts["clean_hit"] += maps.engine_clean[y, x] == 3
                counts["changed_phi"] += changed
            if maps.truth is None or maps.truth[y, x] == IGNORE:
                continue
            kind = "source" if maps.truth[y, x] in (1, 2) else "other"
            counts[kind] += 1
            counts[f"desktop_{kind}_correct"] += maps.desktop_adversarial[y, x] == maps.truth[y, x]
            counts[f"engine_{kind}_correct"] += maps.engine_adversarial[y, x] == maps.truth[y, x]
    known: dict[str, int | None] = {name: int(number) for name, number in counts.items()}
    return known | (dict.fromkeys((*truths, *others)) if maps.truth is None else {})


@st.composite
def label_maps(draw: st.DrawFn) -> LabelMaps:
    shape = (draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    labels = hnp.arrays(np.uint8, shape, elements=st.integers(0, CLASSES - 1))
    truth = hnp.arrays(np.uint8, shape, elements=st.sampled_from([*range(CLASSES), IGNORE]))
    return LabelMaps(
        phi=draw(hnp.arrays(np.bool_, shape)),
        truth=draw(st.none() | truth),
        desktop_clean=draw(labels),
        desktop_adversarial=draw(labels),
        engine_clean=draw(labels),
        engine_adversarial=draw(labels),
    )


@given(label_maps())
def test_counts_equal_the_slow_reference(maps: LabelMaps) -> None:
    found = asdict(count(maps))
    assert {name: found[name] for name in slow_reference(maps)} == slow_reference(maps)


def row(*labels: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.array([labels], np.uint8)


def hand_made() -> LabelMaps:
    """Eight pixels. φ is the first five; the desktop turns four of them, the engine keeps two and turns one more."""
    return LabelMaps(
        phi=row(1, 1, 1, 1, 1, 0, 0, 0) > 0,
        truth=row(1, 1, 2, 2, IGNORE, 0, 0, 3),
        desktop_clean=row(1, 1, 2, 2, 1, 0, 0, 3),
        desktop_adversarial=row(3, 3, 3, 3, 1, 0, 3, 3),
        engine_clean=row(1, 3, 2, 2, 1, 0, 3, 3),
        engine_adversarial=row(3, 3, 1, 2, 3, 0, 0, 0),
    )


def test_hand_computed_counts() -> None:
    found = count(hand_made())
    assert (found.pixels, found.phi, found.desktop_hit, found.engine_hit, found.survived) == (8, 5, 4, 3, 2)
    assert (found.clean_hit, found.changed, found.changed_phi) == (1, 2, 1)
    assert (found.source, found.desktop_source_correct, found.engine_source_correct) == (4, 0, 1)
    assert (found.other, found.desktop_other_correct, found.engine_other_correct) == (3, 2, 2)
    assert (found.mean, found.mean_phi, found.l2, found.linf) == (0.5, 1.5, 20.0, 4)


def test_hand_computed_shares() -> None:
    counts = [count(hand_made())]
    shares = {name: estimate(per_image(counts, columns), 0).mean for name, columns in QUANTITIES.items()}
    assert shares == {
        "survival": 2 / 4,
        "desktop_success": 4 / 5,
        "engine_success": 3 / 5,
        "control": 1 / 5,
        "changed_phi": 1 / 5,
        "changed": 2 / 8,
        "desktop_accuracy": 0 / 4,
        "engine_accuracy": 1 / 4,
        "desktop_ratio": 0.0,
        "engine_ratio": pytest.approx((1 / 4) / (2 / 3)),
    }


def test_no_source_pixel_gives_no_share() -> None:
    maps = hand_made()
    empty = LabelMaps(maps.phi & False, row(0, 0, 0, 0, 0, 0, 0, IGNORE), *vars_of(maps))
    counts = [count(empty)]
    for name in ("survival", "desktop_success", "engine_success", "control", "engine_accuracy", "engine_ratio"):
        found = estimate(per_image(counts, QUANTITIES[name]), 0)
        assert (found.mean, found.pooled, found.images, found.left_out) == (None, None, 0, 1), name


def test_empty_success_set_leaves_the_image_out_of_survival_only() -> None:
    maps = hand_made()
    unreached = LabelMaps(maps.phi, maps.truth, maps.desktop_clean, maps.desktop_clean, *vars_of(maps)[2:])
    counts = [count(unreached, "unreached"), count(maps, "reached")]
    survival = estimate(per_image(counts, QUANTITIES["survival"]), 0)
    assert (survival.mean, survival.images, survival.left_out) == (0.5, 1, 1)
    success = estimate(per_image(counts, QUANTITIES["desktop_success"]), 0)
    assert (success.mean, success.pooled, success.images, success.left_out) == (0.4, 0.4, 2, 0)


def test_ignored_pixels_count_for_phi_but_never_for_accuracy() -> None:
    maps = hand_made()
    ignored = LabelMaps(maps.phi, np.full_like(maps.desktop_clean, IGNORE), *vars_of(maps))
    found = count(ignored)
    assert (found.source, found.other, found.engine_source_correct, found.engine_other_correct) == (0, 0, 0, 0)
    assert (found.phi, found.survived) == (5, 2)


def vars_of(maps: LabelMaps) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], ...]:
    return maps.desktop_clean, maps.desktop_adversarial, maps.engine_clean, maps.engine_adversarial

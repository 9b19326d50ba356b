"""Survival arithmetic against a slow reference that looks at one pixel after another, and by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from segeval.classes import IGNORE
from segeval.evaluate.measure.statistics import QUANTITIES, estimate, estimates, per_image
from segeval.evaluate.measure.survival import LabelMaps, SampleCounts, count_sample
from segeval.files.sets import AdversarialSample, Norms, TaskRecord
from segeval.goals import Kind
from segeval.metrics import Labels, Mask

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
    """Every count of `SampleCounts` but the margins, straight from its definition."""
    names = (
        "pixels",
        "phi",
        "desktop_hit",
        "engine_hit",
        "survived",
        "gained",
        "lost",
        "clean_hit",
        "already",
        "evaded",
    )
    damage = ("desktop_damaged", "engine_damaged", "damage_survived", "clean_damaged", "changed", "changed_phi")
    truths = ("source", "desktop_source_correct", "engine_source_correct")
    others = ("other", "desktop_other_correct", "engine_other_correct")
    counts = dict.fromkeys((*names, *damage, *truths, *others), 0)
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
                counts["already"] += engine and maps.engine_clean[y, x] == 3
                counts["gained"] += engine and not desktop
                alike = maps.desktop_adversarial[y, x] == maps.desktop_clean[y, x]
                counts["evaded"] += engine and maps.engine_clean[y, x] != 3 and alike
                counts["lost"] += desktop and not engine
                left, left_there = (
                    labels[y, x] not in (1, 2) for labels in (maps.desktop_adversarial, maps.engine_adversarial)
                )
                counts["desktop_damaged"] += left
                counts["engine_damaged"] += left_there
                counts["damage_survived"] += left and left_there
                counts["clean_damaged"] += maps.engine_clean[y, x] not in (1, 2)
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
    labels = hnp.arrays(np.uint8, shape, elements=st.integers(0, CLASSES))  # CLASSES: an output beyond the table
    truth = hnp.arrays(np.uint8, shape, elements=st.sampled_from([*range(CLASSES), IGNORE]))
    phi, adversarial = draw(hnp.arrays(np.bool_, shape)), draw(labels)
    sizes = draw(hnp.arrays(np.float16, int(phi.sum()), elements=st.floats(2**-10, 60, width=16)))
    return LabelMaps(
        phi=phi,
        truth=draw(st.none() | truth),
        desktop_clean=draw(labels),
        desktop_adversarial=adversarial,
        engine_clean=draw(labels),
        engine_adversarial=draw(labels),
        margins=draw(st.sampled_from([None, np.where(adversarial[phi] == 3, sizes, -sizes)])),
    )


@given(label_maps())
def test_counts_equal_the_slow_reference(maps: LabelMaps) -> None:
    found, expected = count(maps), slow_reference(maps)
    assert {name: getattr(found, name) for name in expected} == expected
    assert found.survived + found.lost == found.desktop_hit
    assert found.survived + found.gained == found.engine_hit
    assert found.damage_survived <= min(found.desktop_damaged, found.engine_damaged)


@given(label_maps(), st.data())
@pytest.mark.parametrize("kind", ["lost", "wrong"])
def test_other_goals_are_counted_by_their_words(kind: Kind, maps: LabelMaps, data: st.DataObject) -> None:
    reference = data.draw(hnp.arrays(np.uint8, maps.phi.shape, elements=st.integers(0, CLASSES)))
    task = TaskRecord("other", (1, 2) if kind == "lost" else tuple(range(CLASSES)), None, kind)
    found = count_sample(sample(), task, "model", "model.int8", replace(maps, margins=None, reference=reference))

    def reached(labels: Labels) -> Mask:
        return np.logical_and(maps.phi, ~np.isin(labels, (1, 2)) if kind == "lost" else labels != reference)

    on_desktop, on_engine = reached(maps.desktop_adversarial), reached(maps.engine_adversarial)
    on_clean = reached(maps.engine_clean)
    expected = (on_desktop, on_engine, on_desktop & on_engine, on_clean, on_clean & on_engine)
    counted = (found.desktop_hit, found.engine_hit, found.survived, found.clean_hit, found.already)
    assert counted == tuple(int(each.sum()) for each in expected)
    assert (found.desktop_damaged, found.engine_damaged) == (found.desktop_hit, found.engine_hit)


@given(label_maps())
def test_margin_sums_equal_the_slow_reference(maps: LabelMaps) -> None:
    found = count(maps)
    if maps.margins is None:
        assert found.margin_survived_sum is None and found.margin_lost_sum is None
        return
    sums = {True: 0.0, False: 0.0}
    places = zip(*np.nonzero(maps.phi), strict=True)
    for (y, x), margin in zip(places, maps.margins.tolist(), strict=True):
        if maps.desktop_adversarial[y, x] == 3:
            sums[bool(maps.engine_adversarial[y, x] == 3)] += margin
    # float16 numbers of this size add up without rounding.
    assert (found.margin_survived_sum, found.margin_lost_sum) == (sums[True], sums[False])


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
        margins=np.array([4.0, 2.0, 0.5, 0.25, -1.0]),
    )


def test_hand_computed_counts() -> None:
    found = count(hand_made())
    assert (found.pixels, found.phi, found.desktop_hit, found.engine_hit, found.survived) == (8, 5, 4, 3, 2)
    assert (found.clean_hit, found.changed, found.changed_phi) == (1, 2, 1)
    assert (found.source, found.desktop_source_correct, found.engine_source_correct) == (4, 0, 1)
    assert (found.other, found.desktop_other_correct, found.engine_other_correct) == (3, 2, 2)
    assert (found.mean, found.mean_phi, found.l2, found.linf) == (0.5, 1.5, 20.0, 4)
    assert (found.gained, found.lost, found.already, found.evaded) == (1, 2, 1, 1)
    assert (found.desktop_damaged, found.engine_damaged, found.damage_survived, found.clean_damaged) == (4, 3, 2, 1)
    assert (found.margin_survived_sum, found.margin_lost_sum) == (6.0, 0.75)


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
        "gained": 1 / 5,
        "already": 1 / 5,
        "evaded": 1 / 5,
        "damage": 2 / 4,
        "desktop_damage": 4 / 5,
        "engine_damage": 3 / 5,
        "clean_damage": 1 / 5,
        "margin_survived": 6 / 2,
        "margin_lost": 0.75 / 2,
    }


@given(label_maps())
def test_an_image_that_is_not_changed_evades_nothing(maps: LabelMaps) -> None:
    same = replace(maps, desktop_adversarial=maps.desktop_clean, engine_adversarial=maps.engine_clean, margins=None)
    assert count(same).evaded == 0


def test_behind_a_corruption_nothing_is_known_of_what_evaded() -> None:
    found = count(replace(hand_made(), corrupted=True))
    assert found.evaded is None and "evaded" not in estimates([found], 0)
    assert replace(found, evaded=1) == count(hand_made())


def test_a_row_without_margins_has_no_estimate_of_them() -> None:
    with_margins, without = count(hand_made()), count(replace(hand_made(), margins=None), "other")
    assert not {"margin_survived", "margin_lost"} & estimates([without], 0).keys()
    found = estimates([with_margins, without], 0)
    assert found.keys() == QUANTITIES.keys()
    assert (found["margin_lost"].mean, found["margin_lost"].images, found["margin_lost"].left_out) == (0.375, 1, 1)


def test_no_source_pixel_gives_no_share() -> None:
    maps = hand_made()
    empty = replace(maps, phi=maps.phi & False, truth=row(0, 0, 0, 0, 0, 0, 0, IGNORE), margins=np.zeros(0))
    counts = [count(empty)]
    for name in ("survival", "desktop_success", "engine_success", "control", "engine_accuracy", "engine_ratio"):
        found = estimate(per_image(counts, QUANTITIES[name]), 0)
        assert (found.mean, found.pooled, found.images, found.left_out) == (None, None, 0, 1), name


def test_empty_success_set_leaves_the_image_out_of_survival_only() -> None:
    maps = hand_made()
    unreached = replace(maps, desktop_adversarial=maps.desktop_clean, margins=-np.ones(5))
    counts = [count(unreached, "unreached"), count(maps, "reached")]
    survival = estimate(per_image(counts, QUANTITIES["survival"]), 0)
    assert (survival.mean, survival.images, survival.left_out) == (0.5, 1, 1)
    success = estimate(per_image(counts, QUANTITIES["desktop_success"]), 0)
    assert (success.mean, success.pooled, success.images, success.left_out) == (0.4, 0.4, 2, 0)


def test_ignored_pixels_count_for_phi_but_never_for_accuracy() -> None:
    maps = hand_made()
    ignored = replace(maps, truth=np.full_like(maps.desktop_clean, IGNORE))
    found = count(ignored)
    assert (found.source, found.other, found.engine_source_correct, found.engine_other_correct) == (0, 0, 0, 0)
    assert (found.phi, found.survived) == (5, 2)

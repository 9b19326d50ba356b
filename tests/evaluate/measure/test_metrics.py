"""The confusion matrix and what is read off it, against scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import accuracy_score, confusion_matrix, jaccard_score, recall_score

from segeval.classes import IGNORE
from segeval.evaluate.measure.clean import CleanCounts, CleanTally, miou_difference, recounted
from segeval.evaluate.measure.report_records import DESKTOP
from segeval.metrics import ConfusionMatrix, Labels

CLASSES = 4
PAIRS = st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.uint8, shape, elements=st.sampled_from([*range(CLASSES), IGNORE])),
        hnp.arrays(np.uint8, shape, elements=st.integers(0, CLASSES)),  # CLASSES: a background output
    )
)


def filled(*pairs: tuple[Labels, Labels]) -> ConfusionMatrix:
    matrix = ConfusionMatrix(CLASSES)
    for truth, prediction in pairs:
        matrix.update(truth, prediction)
    return matrix


@given(PAIRS, PAIRS)
@settings(max_examples=60)
def test_against_scikit_learn(first: tuple[Labels, Labels], second: tuple[Labels, Labels]) -> None:
    matrix = filled(first, second)
    truth = np.concatenate([first[0].ravel(), second[0].ravel()])
    prediction = np.concatenate([first[1].ravel(), second[1].ravel()])
    labelled = truth != IGNORE
    if not labelled.any():
        assert matrix.pixel_accuracy() is None and matrix.class_average() is None
        return
    known, guessed = truth[labelled], prediction[labelled]
    expected = confusion_matrix(known, guessed, labels=range(CLASSES + 1))
    assert (matrix.counts[:CLASSES] == expected[:CLASSES]).all()
    assert matrix.pixel_accuracy() == pytest.approx(accuracy_score(known, guessed))
    assert_iou(matrix, known, guessed, ignored_are_errors=False)
    present = sorted(set(known.tolist()))
    recall = recall_score(known, guessed, labels=present, average="macro", zero_division=0)
    assert matrix.class_average() == pytest.approx(recall)


@given(st.integers(1, 254), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_every_pair_is_counted_where_it_belongs(classes: int, seed: int) -> None:
    """Also with the most classes there can be, whose pairs nearly fill 16 bits."""
    truth, prediction = np.random.default_rng(seed).integers(0, 256, (2, 5, 7), np.uint8)
    matrix, expected = ConfusionMatrix(classes), np.zeros((classes + 1, classes + 1), np.int64)
    for _ in range(2):
        matrix.update(truth, prediction)
        for known, guessed in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
            expected[min(known, classes), min(guessed, classes)] += 1
    assert (matrix.counts == expected).all()


@given(PAIRS)
@settings(max_examples=60)
def test_ignored_pixels_can_count_as_errors(pair: tuple[Labels, Labels]) -> None:
    truth, prediction = pair
    # As a class of its own, an ignored pixel makes every prediction on it a false positive.
    assert_iou(filled(pair), np.minimum(truth, CLASSES + 1).ravel(), prediction.ravel(), ignored_are_errors=True)


def assert_iou(matrix: ConfusionMatrix, truth: Labels, prediction: Labels, ignored_are_errors: bool) -> None:
    occurring = [label for label in range(CLASSES) if label in truth]
    found = matrix.intersection_over_union(ignored_are_errors)
    assert [label for label in range(CLASSES) if np.isfinite(found[label])] == occurring
    if not occurring:
        assert matrix.mean_iou(ignored_are_errors) is None
        return
    expected = jaccard_score(truth, prediction, labels=occurring, average=None, zero_division=0)
    assert found[occurring] == pytest.approx(expected)
    assert matrix.mean_iou(ignored_are_errors) == pytest.approx(expected.mean())


ROW = 100


def striped(strays: int) -> tuple[Labels, Labels]:
    """A truth of 12 stripes of class 0 to 11, 100 pixels each, of each of which 50 are found; class 12 is not in it.

    strays: pixels of class 12 that are predicted in the places of the wrong ones of the first stripe.
    """
    truth = np.repeat(np.arange(12, dtype=np.uint8), ROW).reshape(12, ROW)
    prediction = truth.copy()
    prediction[:, :50] = (truth[:, :50] + 1) % 12
    prediction[0, :strays] = 12
    return truth, prediction


def test_a_class_that_the_truth_lacks_does_not_enter_the_mean() -> None:
    """Four stray pixels took a thirteenth of the mean, and a gate was missed by an engine that was better."""
    before, after = ConfusionMatrix(13), ConfusionMatrix(13)
    before.update(*striped(strays=0))
    after.update(*striped(strays=4))
    # Each class: 50 hits, 50 missed, 50 false ones. Class 1 has 4 false ones less after.
    assert before.mean_iou() == pytest.approx(50 / 150)
    assert after.mean_iou() == pytest.approx((11 * 50 / 150 + 50 / 146) / 12)
    assert (int(after.in_truth.sum()), int(after.only_predicted.sum())) == (12, 1)
    assert np.isnan(after.intersection_over_union()[12])


def test_rows_of_a_report_and_their_difference_are_over_the_classes_of_the_truth() -> None:
    rows = []
    for strays in (0, 4):
        tally = CleanTally("m", "m.int8" if strays else DESKTOP, "int8", 13)
        truth, prediction = striped(strays)
        tally.add("a", CleanCounts.of(prediction, prediction, truth, 13))
        rows.append(tally.row())
    desktop, engine = rows
    assert [(row.classes_in_truth, row.classes_only_predicted) for row in rows] == [(12, 0), (12, 1)]
    gain = (50 / 146 - 50 / 150) / 12
    assert miou_difference(desktop, engine) == pytest.approx(-gain)
    assert desktop.miou is not None and engine.miou == pytest.approx(desktop.miou + gain)
    earlier = replace(engine, miou=0.3, classes_in_truth=None, classes_only_predicted=None)
    assert recounted(earlier) == engine and recounted(desktop) == desktop


def test_rows_of_other_ground_truth_are_not_subtracted() -> None:
    rows = []
    for shift in (0, 1):
        tally = CleanTally("m", DESKTOP, "fp32", 13)
        truth, prediction = striped(0)
        truth = np.minimum(truth, 11 - shift).astype(np.uint8)
        tally.add("a", CleanCounts.of(prediction, prediction, truth, 13))
        rows.append(tally.row())
    assert miou_difference(rows[0], rows[1]) is None and miou_difference(rows[0], rows[0]) == 0

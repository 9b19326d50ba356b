"""The four metrics of Kang et al. 2020 (Sec. V) and the confusion matrix, on label maps.

Everything is counted in integers, so that means over images and pooled values come from the same numbers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segeval.classes import IGNORE
from segeval.goals import Goal

Labels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def share(part: float | None, whole: float | None) -> float | None:
    """part / whole, or None when there is nothing to divide by."""
    return None if part is None or not whole else part / whole


@dataclass(frozen=True)
class AttackCounts:
    """Pixel counts of one prediction under one attack task.

    Attributes:
        phi: pixels of φ.
        hit: pixels of φ predicted as the goal wants them.
        source, source_correct: ground-truth source pixels, and those still predicted as their own class; None without
            ground truth.
        other, other_correct: the same for all other labelled pixels.
    """

    phi: int
    hit: int
    source: int | None = None
    source_correct: int | None = None
    other: int | None = None
    other_correct: int | None = None

    @property
    def success(self) -> float | None:
        """Share of φ that is predicted as the goal wants it."""
        return share(self.hit, self.phi)

    @property
    def accuracy(self) -> float | None:
        """Share of the ground-truth source pixels still predicted as their own class."""
        return share(self.source_correct, self.source)

    @property
    def ratio(self) -> float | None:
        """Accuracy of the source pixels over the accuracy of all other labelled pixels."""
        return share(self.accuracy, share(self.other_correct, self.other))

    def __add__(self, more: "AttackCounts") -> "AttackCounts":
        """Counts of both together; the sum has ground truth only if both have."""

        def total(left: int | None, right: int | None) -> int | None:
            return None if left is None or right is None else left + right

        return AttackCounts(
            self.phi + more.phi,
            self.hit + more.hit,
            total(self.source, more.source),
            total(self.source_correct, more.source_correct),
            total(self.other, more.other),
            total(self.other_correct, more.other_correct),
        )


class AttackMeter:
    """Counts predictions of one image under one attack task; the masks are made once.

    Attributes:
        phi: (H, W) bool, the pixels the attack is made for.
        goal: what it wants of them.
        truth: (H, W) ground truth with IGNORE, or None.
        clean: (H, W) clean prediction, needed by goals of the kind "wrong".
    """

    def __init__(self, phi: Mask, goal: Goal, truth: Labels | None = None, clean: Labels | None = None) -> None:
        self.phi = phi
        self.goal = goal
        self.truth = truth
        self.clean = clean
        self.phi_pixels = int(np.count_nonzero(phi))
        if truth is not None:
            self.source = goal.phi(truth)
            self.other = ~self.source & (truth != IGNORE)
            self.source_pixels = int(np.count_nonzero(self.source))
            self.other_pixels = int(np.count_nonzero(self.other))

    def count(self, prediction: Labels) -> AttackCounts:
        """Counts of one (H, W) label map."""
        hit = int(np.count_nonzero(self.goal.reached(prediction, self.clean) & self.phi))
        if self.truth is None:
            return AttackCounts(self.phi_pixels, hit)
        correct = prediction == self.truth
        return AttackCounts(
            phi=self.phi_pixels,
            hit=hit,
            source=self.source_pixels,
            source_correct=int(np.count_nonzero(correct & self.source)),
            other=self.other_pixels,
            other_correct=int(np.count_nonzero(correct & self.other)),
        )


def count_attack(
    prediction: Labels, phi: Mask, goal: Goal, truth: Labels | None = None, clean: Labels | None = None
) -> AttackCounts:
    """Count one (H, W) label map; see `AttackMeter` for the arguments."""
    return AttackMeter(phi, goal, truth, clean).count(prediction)


def intersection_over_union(
    hit: NDArray[np.integer], truth: NDArray[np.integer], predicted: NDArray[np.integer]
) -> NDArray[np.float64]:
    """(C,) IoU per class; nan for a class that the ground truth does not have.

    There is nothing of such a class to find: as 0, a single pixel of it would cost a mean over 12 classes a
    twelfth. Its pixels are missing from the class that they are of, and so count there.

    Args:
        hit: (C,) labelled pixels of each class that are predicted as it.
        truth: (C,) all labelled pixels of it.
        predicted: (C,) pixels that are predicted as it.
    """
    union = truth + predicted - hit
    iou: NDArray[np.float64] = np.divide(hit, union, out=np.full(len(hit), np.nan), where=truth > 0)
    return iou


class ConfusionMatrix:
    """Full-resolution pixel counts over a data set: rows are ground truth, columns predictions.

    One more row is for IGNORE pixels, one more column for predictions outside the table (a network's extra background
    output), so that both ways of counting can be read off it.

    Attributes:
        classes: number of classes in the table.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.counts: NDArray[np.int64] = np.zeros((classes + 1, classes + 1), np.int64)

    def update(self, truth: Labels, prediction: Labels) -> None:
        """Add one label map and its ground truth, (H, W) uint8 each."""
        side = self.classes + 1
        # In 16 bits, which hold every pair of up to 255 labels: a quarter of the memory to go through.
        pairs = np.multiply(np.minimum(truth, self.classes), side, dtype=np.uint16)
        pairs += np.minimum(prediction, self.classes)
        counts = np.bincount(pairs.ravel().astype(np.intp), minlength=side * side)
        self.counts += counts.reshape(side, side)

    @property
    def in_truth(self) -> NDArray[np.bool_]:
        """(C,) whether the ground truth has a pixel of a class."""
        present: NDArray[np.bool_] = self.counts[: self.classes].sum(axis=1) > 0
        return present

    @property
    def only_predicted(self) -> NDArray[np.bool_]:
        """(C,) whether a class is predicted on a labelled pixel, and the ground truth has none of it."""
        predicted: NDArray[np.bool_] = self.counts[: self.classes, : self.classes].sum(axis=0) > 0
        return predicted & ~self.in_truth

    def intersection_over_union(self, ignored_are_errors: bool = False) -> NDArray[np.float64]:
        """(C,) IoU per class; nan for a class that the ground truth does not have.

        Args:
            ignored_are_errors: count predictions on IGNORE pixels as false positives, as ESPNet's authors do.
        """
        c = self.classes
        predicted = self.counts[: c + 1 if ignored_are_errors else c, :c].sum(axis=0)
        return intersection_over_union(np.diag(self.counts)[:c], self.counts[:c].sum(axis=1), predicted)

    def mean_iou(self, ignored_are_errors: bool = False) -> float | None:
        """Mean IoU over the classes that the ground truth has, whatever is predicted; None if it has none."""
        iou = self.intersection_over_union(ignored_are_errors)
        return None if np.isnan(iou).all() else float(np.nanmean(iou))

    def class_average(self) -> float | None:
        """Mean over classes of the share of their pixels that were found (recall)."""
        labelled, present = self.counts[: self.classes].sum(axis=1), self.in_truth
        if not present.any():
            return None
        return float((np.diag(self.counts)[: self.classes][present] / labelled[present]).mean())

    def pixel_accuracy(self) -> float | None:
        """Share of the labelled pixels that are right."""
        return share(
            float(np.trace(self.counts[: self.classes, : self.classes])), float(self.counts[: self.classes].sum())
        )

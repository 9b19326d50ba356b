"""Pixels of every class over label maps and what they are compared with: all that accuracy and IoU need."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segeval.metrics import ConfusionMatrix, Labels, intersection_over_union, share

MOST_CHANGED = 0.25
"""Share of the pixels up to which counting the ones that differ, twice, is faster than counting all."""


@dataclass(frozen=True, slots=True)
class ClassPixels:
    """Counts that are read off a confusion matrix. They are added up over label maps; scores are of the sum.

    Attributes:
        counts: (3, C), of each class the pixels that the reference has, that are predicted, and that are both.
            Pixels that the reference ignores are in none of them.
    """

    counts: NDArray[np.integer]

    @classmethod
    def of(cls, reference: Labels, prediction: Labels, classes: int) -> "ClassPixels":
        """The counts of one label map.

        Args:
            reference: of any shape; labels from `classes` on are ignored.
            prediction: of that shape; labels from `classes` on, a background output, are wrong.
            classes: in the table.
        """
        matrix = ConfusionMatrix(classes)
        matrix.update(reference, prediction)
        labelled = matrix.counts[:classes]
        return cls(np.stack([labelled.sum(axis=1), labelled[:, :classes].sum(axis=0), np.diag(labelled)]))

    @classmethod
    def near(
        cls, known: "ClassPixels", labels: Labels, reference: Labels, prediction: Labels, classes: int
    ) -> "ClassPixels":
        """The counts of one label map from those of a similar one, by the pixels that differ: in a part of the time.

        Args:
            known: counts of `labels` against the same reference.
            labels: (H, W).
            reference: as for `of`.
            prediction: as for `of`.
            classes: in the table.
        """
        changed = np.flatnonzero(labels != prediction)
        if len(changed) > MOST_CHANGED * prediction.size:
            return cls.of(reference, prediction, classes)
        truth, before, after = (each.ravel()[changed] for each in (reference, labels, prediction))
        return known + cls.of(truth, after, classes) - cls.of(truth, before, classes)

    def __add__(self, other: "ClassPixels") -> "ClassPixels":
        """Of both together."""
        return ClassPixels(self.counts + other.counts)

    def __sub__(self, other: "ClassPixels") -> "ClassPixels":
        """Without what the other one counts."""
        return ClassPixels(self.counts - other.counts)

    @property
    def truth(self) -> NDArray[np.integer]:
        """(C,) pixels of each class in the reference."""
        pixels: NDArray[np.integer] = self.counts[0]
        return pixels

    @property
    def predicted(self) -> NDArray[np.integer]:
        """(C,) pixels that are predicted as each class."""
        pixels: NDArray[np.integer] = self.counts[1]
        return pixels

    @property
    def hit(self) -> NDArray[np.integer]:
        """(C,) pixels of each class that are predicted as it."""
        pixels: NDArray[np.integer] = self.counts[2]
        return pixels

    @property
    def accuracy(self) -> float | None:
        """Share of the pixels that are right; None if the reference has none."""
        return share(float(self.hit.sum()), float(self.truth.sum()))

    @property
    def iou(self) -> NDArray[np.float64]:
        """(C,) IoU per class; nan for a class that the reference does not have."""
        return intersection_over_union(self.hit, self.truth, self.predicted)

    @property
    def miou(self) -> float | None:
        """Mean IoU over the classes that the reference has; None if it has none."""
        return self._mean_over(self.truth > 0)

    @property
    def cmiou(self) -> float | None:
        """Mean IoU over the classes that the reference has or that are predicted, those with 0; None without any."""
        return self._mean_over((self.truth > 0) | (self.predicted > 0))

    def _mean_over(self, classes: NDArray[np.bool_]) -> float | None:
        return share(float(np.nansum(self.iou)), float(np.count_nonzero(classes))) if self.truth.any() else None

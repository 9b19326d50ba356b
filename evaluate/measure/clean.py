"""What deployment costs without any attack: accuracy, agreement with the desktop and latency on the clean images."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from segeval.classes import IGNORE
from segeval.files.replays import EngineResults
from segeval.metrics import ConfusionMatrix, Labels, share

from .report_records import CleanRow, Latency


@dataclass(frozen=True, slots=True)
class CleanCounts:
    """One clean image on one engine. equal: pixels as on the desktop; confusion: None without ground truth."""

    pixels: int
    equal: int
    confusion: NDArray[np.int64] | None

    @classmethod
    def of(cls, prediction: Labels, desktop: Labels, truth: Labels | None, classes: int) -> "CleanCounts":
        """Count label maps.

        Args:
            prediction: (H, W), of the engine.
            desktop: (H, W), of the network itself.
            truth: (H, W) with IGNORE, or None.
            classes: of the class table.
        """
        equal = int(np.count_nonzero(prediction == desktop))
        if truth is None:
            return cls(prediction.size, equal, None)
        matrix = ConfusionMatrix(classes)
        matrix.update(truth, prediction)
        return cls(prediction.size, equal, matrix.counts)


class CleanTally:
    """Counts of one engine, or of the desktop, over the clean images; every image enters once.

    Attributes:
        classes: of the class table; predictions beyond it (a background output) count as wrong.
    """

    def __init__(self, model: str, engine: str, precision: str, classes: int) -> None:
        self.model, self.engine, self.precision = model, engine, precision
        self._confusion = ConfusionMatrix(classes)
        self._labelled = 0
        self._pixels = 0
        self._equal = 0
        self._images: set[str] = set()

    def add(self, image: str, counts: CleanCounts) -> None:
        """Add an image, unless it was added before."""
        if image in self._images:
            return
        self._images.add(image)
        self._pixels += counts.pixels
        self._equal += counts.equal
        if counts.confusion is not None:
            self._labelled += 1
            self._confusion.counts += counts.confusion

    def row(self, latency: Latency | None = None) -> CleanRow:
        """The counts as a row of the report."""
        known = self._labelled > 0
        return CleanRow(
            model=self.model,
            engine=self.engine,
            precision=self.precision,
            images=len(self._images),
            labelled=self._labelled,
            miou=self._confusion.mean_iou() if known else None,
            class_average=self._confusion.class_average() if known else None,
            pixel_accuracy=self._confusion.pixel_accuracy() if known else None,
            equal=share(self._equal, self._pixels),
            latency=latency,
            confusion=tuple(map(tuple, self._confusion.counts.tolist())) if known else None,
            classes_in_truth=int(self._confusion.in_truth.sum()) if known else None,
            classes_only_predicted=int(self._confusion.only_predicted.sum()) if known else None,
        )


def recounted(row: CleanRow) -> CleanRow:
    """A row of an earlier version, whose mIoU was also over classes that were only predicted, by today's counting."""
    if row.classes_in_truth is not None or row.confusion is None:
        return row
    matrix = ConfusionMatrix(len(row.confusion) - 1)
    matrix.counts += np.array(row.confusion, np.int64)
    there, strange = int(matrix.in_truth.sum()), int(matrix.only_predicted.sum())
    return replace(row, miou=matrix.mean_iou(), classes_in_truth=there, classes_only_predicted=strange)


def miou_difference(first: CleanRow | None, second: CleanRow | None) -> float | None:
    """mIoU of the first minus that of the second; None if one is not known or they rest on other ground truth."""
    if first is None or second is None or first.miou is None or second.miou is None or not same_truth(first, second):
        return None
    return first.miou - second.miou


def same_truth(first: CleanRow, second: CleanRow) -> bool:
    """Whether two rows are about as many images, whose ground truth has the same pixels of every class."""
    one, other = (None if row.confusion is None else [sum(line) for line in row.confusion] for row in (first, second))
    return (first.images, first.labelled, one) == (second.images, second.labelled, other)


def measure_latency(results: EngineResults, keys: Collection[str]) -> Latency | None:
    """Latency of an engine over these inputs of its replay; None if there are none."""
    times = np.array([time for key, time in results.latencies().items() if key in keys], np.float64)
    if not len(times):
        return None
    p50, p90 = np.percentile(times, (50, 90)).tolist()
    return Latency(len(times), results.engine.batch, p50, p90, float(times.mean()))


def check_truth(truth: Labels, classes: int) -> bool:
    """Whether every label of a ground truth is a class of the table or IGNORE."""
    return bool(((truth < classes) | (truth == IGNORE)).all())

"""The four metrics over the steps of an attack, as crafting measured them on the float image."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from segeval.evaluate.report_records import Curve, CurvePoint
from segeval.evaluate.statistics import fraction
from segeval.records import AdversarialSample, Step

Floats = NDArray[np.float64]
CurveKey = tuple[str, tuple[str, ...], str, str | None]
# Columns of a curve's array; the last counts samples, so that an image's norms are means over its samples.
HIT, PHI, SOURCE_CORRECT, SOURCE, OTHER_CORRECT, OTHER, MEAN, MEAN_PHI, SAMPLES = range(9)


def columns(step: Step, model: str) -> list[float]:
    """One step of one sample as a row of numbers; nan where a count is unknown."""
    counts = step.counts[model]
    numbers = (counts.hit, counts.phi, counts.source_correct, counts.source, counts.other_correct, counts.other)
    return [np.nan if number is None else number for number in numbers] + [step.mean, step.mean_phi, 1]


def held(curve: Floats, steps: int) -> Floats:
    """A (T, columns) curve made `steps` long by repeating its last row: a sample that stopped keeps what it had."""
    return np.concatenate([curve, np.repeat(curve[-1:], steps - len(curve), axis=0)])


class CurveTally:
    """Sums the curves of each image's samples, per attack and task and per attack alone."""

    def __init__(self) -> None:
        self._images: dict[CurveKey, dict[str, Floats]] = {}

    def add(self, sample: AdversarialSample) -> None:
        """Count every model of a sample that has a curve."""
        if not sample.curve:
            return
        for model in sample.curve[0].counts:
            curve = np.array([columns(step, model) for step in sample.curve], np.float64)
            for task in (sample.task, None):
                images = self._images.setdefault((model, sample.victims, sample.attack, task), {})
                before = images.get(sample.image, np.zeros((1, len(curve[0]))))
                steps = max(len(before), len(curve))
                images[sample.image] = held(before, steps) + held(curve, steps)

    def curves(self, keys: Iterable[CurveKey]) -> tuple[Curve, ...]:
        """The means over images for the keys that have curves, in the order given."""
        return tuple(Curve(*key, points=self._points(key)) for key in keys if key in self._images)

    def _points(self, key: CurveKey) -> tuple[CurvePoint, ...]:
        images = list(self._images[key].values())
        steps = max(map(len, images))
        stack = np.stack([held(curve, steps) for curve in images], axis=1)
        return tuple(point(step, rows) for step, rows in enumerate(stack))


def point(step: int, rows: Floats) -> CurvePoint:
    """Means over images of one step; rows: (images, columns)."""
    success = fraction(rows[:, [HIT, PHI]])
    return CurvePoint(
        step=step,
        images=int(np.isfinite(success).sum()),
        accuracy=mean(fraction(rows[:, [SOURCE_CORRECT, SOURCE]])),
        ratio=mean(fraction(rows[:, [SOURCE_CORRECT, SOURCE, OTHER_CORRECT, OTHER]])),
        success=mean(success),
        mean=float((rows[:, MEAN] / rows[:, SAMPLES]).mean()),
        mean_phi=float((rows[:, MEAN_PHI] / rows[:, SAMPLES]).mean()),
    )


def mean(values: Floats) -> float | None:
    """Mean of the values that exist; None if there is none."""
    exists = np.isfinite(values)
    return float(values[exists].mean()) if exists.any() else None

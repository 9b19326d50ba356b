"""The four metrics over the steps of an attack, as crafting measured them at each step."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from segeval.files.sets import AdversarialSample, Step

from .bootstrap import fraction
from .report_records import Curve, CurvePoint
from .row_key import RowKey, within_model

Floats = NDArray[np.float64]
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


def together(first: Floats, second: Floats) -> Floats:
    """The sum of two curves."""
    steps = max(len(first), len(second))
    return held(first, steps) + held(second, steps)


class CurveTally:
    """Sums the curves of each image's samples, per attack and task. All tasks together are summed up at the end."""

    def __init__(self) -> None:
        self._images: dict[RowKey, dict[str, Floats]] = {}

    def add(self, sample: AdversarialSample) -> None:
        """Count every network of a sample that has a curve, and every file that its attack was made on."""
        if not sample.curve:
            return
        for name in sample.curve[0].counts:
            curve = np.array([columns(step, name) for step in sample.curve], np.float64)
            model, file = network_and_file(name, sample.victims)
            images = self._images.setdefault(RowKey(model, sample.victims, sample.attack, sample.task, file), {})
            images[sample.image] = together(images[sample.image], curve) if sample.image in images else curve

    def curves(self, keys: Iterable[RowKey]) -> tuple[Curve, ...]:
        """The means over images for the keys that have curves, in the order given: on the network, then on files.

        Args:
            keys: of no engine.
        """
        files = sorted({key.engine for key in self._images})
        found = ((key, file, self._curves_of(key.on(file))) for key in keys for file in files)
        return tuple(
            Curve(key.model, key.victims, key.attack, key.task, points(curves), file)
            for key, file, curves in found
            if curves
        )

    def _curves_of(self, key: RowKey) -> list[Floats]:
        """One per image."""
        images: dict[str, Floats] = {}
        for own in (own for each, own in self._images.items() if key.covers(each)):
            for image, curve in own.items():
                images[image] = together(images[image], curve) if image in images else curve
        return list(images.values())


def network_and_file(name: str, victims: Sequence[str]) -> tuple[str, str]:
    """The network and the file of what a step was measured on: ``espnet.int8`` of ``espnet``; no file for a network."""
    owners = [victim for victim in victims if name.startswith(f"{victim}.")]
    if name in victims or not owners:
        return name, ""
    model = max(owners, key=len)
    return model, within_model(name, model)


def points(curves: Sequence[Floats]) -> tuple[CurvePoint, ...]:
    """The means over images, step by step: all curves are held once, and never as one array."""
    steps = max(map(len, curves))
    return tuple(point(step, np.array([curve[min(step, len(curve) - 1)] for curve in curves])) for step in range(steps))


def point(step: int, rows: Floats) -> CurvePoint:
    """Means over images of one step.

    Args:
        step: number of the step.
        rows: (images, columns).
    """
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

"""Figure 6: the four metrics over the steps, of the attacks as published."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from segeval.evaluate.measure.report_records import Curve, CurvePoint
from segeval.evaluate.measure.row_key import RowKey
from segeval.reproduce.kang2020.kang2020_records import EVERY_VICTIM, METHODS, SCOPES
from segeval.reproduce.kang2020.table1 import Counted, columns_of


def curves(counted: Counted) -> tuple[Curve, ...]:
    """Each model under the attacks on itself and under the joint one, then the mean over the joint attack's victims."""
    found: list[Curve] = []
    for scope in SCOPES:
        for method in METHODS[:2]:
            label = counted.label(method, scope)
            if label is None:
                continue
            keys = [RowKey(model, victims, label, None) for victims, model in columns_of(counted.models)]
            ours = counted.curves.curves(keys)
            found += ours
            shared = [curve for curve in ours if len(curve.victims) > 1]
            if shared:
                found.append(over_victims(shared))
    return tuple(found)


def over_victims(curves: Sequence[Curve]) -> Curve:
    """The mean of the curves of one joint attack; a metric that some victim lacks at a step is left out there."""
    first = curves[0]
    points = tuple(map(mean_point, zip(*(curve.points for curve in curves), strict=True)))
    return Curve(EVERY_VICTIM, first.victims, first.attack, first.task, points)


def mean_point(points: Sequence[CurvePoint]) -> CurvePoint:
    """Mean over the victims at one step; the perturbation is the same for all."""
    means: dict[str, Any] = {
        name: _mean([getattr(point, name) for point in points]) for name in ("accuracy", "ratio", "success")
    }
    return replace(points[0], images=min(point.images for point in points), **means)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None

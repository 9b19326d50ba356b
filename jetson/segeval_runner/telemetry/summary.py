"""Summarises readings into the few numbers of a record."""

from __future__ import annotations

from statistics import median
from typing import Any, Dict, List, Sequence, Union

from segeval_runner.telemetry.energy import NOT_AVAILABLE, module_power, shortage, window_power
from segeval_runner.telemetry.reading import Row, names, series


def power_record(rows: List[Row], quantity: str, rails: Sequence[str]) -> Union[Dict[str, Any], str]:
    """Power over the rows, or text that says why it is not available."""
    points = module_power(rows, rails)
    lacking = shortage(points)
    if lacking:
        return "{}: {}".format(NOT_AVAILABLE, lacking)
    window = window_power(points)
    return {
        "quantity": quantity,
        "rails": list(rails),
        "mean_w": rounded(window.mean_w),
        "least_w": rounded(window.least_w),
        "most_w": rounded(window.most_w),
        "samples": window.samples,
        "seconds": rounded(window.seconds),
    }


def spread(rows: List[Row], part: str) -> Dict[str, Dict[str, float]]:
    """First, least, median and most value of each sensor of a part of the readings."""
    found = {}
    for name in names(rows, part):
        values = series(rows, part, name)
        found[name] = {
            "first": rounded(values[0]),
            "least": rounded(min(values)),
            "median": rounded(median(values)),
            "most": rounded(max(values)),
        }
    return found


def increases(rows: List[Row], part: str) -> Dict[str, float]:
    """By how much each counter went up."""
    return {name: series(rows, part, name)[-1] - series(rows, part, name)[0] for name in names(rows, part)}


def power_modes(rows: List[Row]) -> List[str]:
    """Every power mode there was, in order of appearance."""
    return list(dict.fromkeys(reading.power_mode for _, reading in rows if reading.power_mode))


def rounded(value: float) -> float:
    """Six significant digits; sensors have three."""
    return float("{:.6g}".format(value))

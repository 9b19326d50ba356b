"""Power and energy from samples of rails, over windows that are long enough to mean something."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from segeval_runner.telemetry.reading import Row

LEAST_SAMPLES = 20
"""Samples below which no power is given: a mean of fewer says more about when they fell than about the load."""
LEAST_SECONDS = 5.0
"""Window below which no power is given: the monitors average over up to a second, and regulators hold charge."""

NOT_AVAILABLE = "not available"
FORMULA = (
    "power: integral of the summed rails by the trapezoidal rule between the first and the last sample of the window, "
    "divided by the time between these; gross: power x window / images; net: (power - idle power) x window / images"
)

Points = List[Tuple[float, float]]
"""Power over time: (seconds, W)."""


class Window(NamedTuple):
    """Power over a window. seconds: between its first and its last sample."""

    mean_w: float
    least_w: float
    most_w: float
    samples: int
    seconds: float


def module_power(rows: Sequence[Row], rails: Sequence[str]) -> Points:
    """The sum of the rails at each sample that has them all."""
    points = []
    for moment, reading in rows:
        if rails and all(rail in reading.rails_mw for rail in rails):
            points.append((moment, sum(reading.rails_mw[rail] for rail in rails) / 1000))
    return points


def trapezoid(points: Points) -> float:
    """Integral over time: J from seconds and W."""
    joules, before = 0.0, points[0]
    for after in points[1:]:
        joules += (after[0] - before[0]) * (after[1] + before[1]) / 2
        before = after
    return joules


def shortage(points: Points) -> Optional[str]:
    """Why these samples give no power, or None."""
    if len(points) < LEAST_SAMPLES:
        return "{} samples of power, {} are needed".format(len(points), LEAST_SAMPLES)
    seconds = points[-1][0] - points[0][0]
    if seconds < LEAST_SECONDS:
        return "power over {:.1f} s, {:.0f} s are needed".format(seconds, LEAST_SECONDS)
    return None


def window_power(points: Points) -> Window:
    """Mean, least and most power. Ask `shortage` first."""
    seconds = points[-1][0] - points[0][0]
    watts = [power for _, power in points]
    return Window(trapezoid(points) / seconds, min(watts), max(watts), len(points), seconds)


def energy(load: Points, idle: Points, seconds: float, images: int) -> Union[Dict[str, Any], str]:
    """Energy per image, by FORMULA.

    Args:
        load: power while the engine ran.
        idle: power before, with nothing to do.
        seconds: length of the window in which `images` images were run.
        images: number of images.

    Returns:
        Text that begins with NOT_AVAILABLE if the samples under load are too few; without enough samples of the idle
        machine only the gross energy is given.
    """
    lacking, lacking_idle = shortage(load), shortage(idle)
    if lacking:
        return "{}: {}".format(NOT_AVAILABLE, lacking)
    power = window_power(load)
    record: Dict[str, Any] = {
        "formula": FORMULA,
        "window_s": seconds,
        "images": images,
        "mean_w": power.mean_w,
        "gross_j_per_image": power.mean_w * seconds / images,
        "idle_w": None,
        "net_j_per_image": None,
    }
    if lacking_idle:
        return {**record, "note": "no idle power: {}".format(lacking_idle)}
    idle_w = window_power(idle).mean_w
    return {**record, "idle_w": idle_w, "net_j_per_image": (power.mean_w - idle_w) * seconds / images, "note": ""}

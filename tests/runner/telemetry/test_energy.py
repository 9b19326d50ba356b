import math
from typing import Any

import pytest

from segeval_runner.telemetry.energy import (
    LEAST_SAMPLES,
    LEAST_SECONDS,
    Points,
    energy,
    module_power,
    shortage,
    trapezoid,
    window_power,
)
from segeval_runner.telemetry.reading import Reading, Row


def row(moment: float, **rails: float) -> Row:
    return moment, Reading(rails, {}, {}, None, {}, {}, None)


def constant(watts: float, seconds: float = 10.0, samples: int = 101) -> Points:
    return [(100 + seconds * number / (samples - 1), watts) for number in range(samples)]


def given(*arguments: Any) -> dict[str, Any]:
    found = energy(*arguments)
    assert isinstance(found, dict)
    return found


def test_the_rule_is_exact_for_lines_even_at_an_uneven_pace() -> None:
    moments = [0.0, 0.1, 0.15, 1.0, 1.7, 4.0]
    assert trapezoid([(t, 2.0) for t in moments]) == pytest.approx(8.0)
    assert trapezoid([(t, 3.0 + 2.0 * t) for t in moments]) == pytest.approx(3 * 4 + 4**2)


def test_the_error_for_a_curve_falls_with_the_square_of_the_step() -> None:
    def error(steps: int) -> float:
        points = [(math.pi * k / steps, math.sin(math.pi * k / steps)) for k in range(steps + 1)]
        return abs(trapezoid(points) - 2)

    assert error(50) == pytest.approx(math.pi**2 / 6 / 50**2, rel=0.01)
    assert error(100) / error(200) == pytest.approx(4, rel=0.01)


def test_energy_per_image_gross_and_net() -> None:
    """12 W for 10 s and 500 images, 4 W idle: 0.24 J gross, 0.16 J net."""
    found = given(constant(12.0), constant(4.0), 10.0, 500)
    assert found["gross_j_per_image"] == pytest.approx(0.24)
    assert found["net_j_per_image"] == pytest.approx(0.16)
    assert (found["mean_w"], found["idle_w"], found["note"]) == (pytest.approx(12), pytest.approx(4), "")


def test_a_window_longer_than_its_samples_is_filled_with_their_mean() -> None:
    assert given(constant(12.0, seconds=9.9), constant(4.0), 10.0, 500)["gross_j_per_image"] == pytest.approx(0.24)


def test_without_an_idle_window_there_is_no_net_energy() -> None:
    found = given(constant(12.0), constant(4.0, seconds=1.0), 10.0, 500)
    assert found["net_j_per_image"] is None
    assert "no idle power: power over 1.0 s" in found["note"]


def test_too_few_samples_or_too_short_a_window_give_no_number() -> None:
    few, short = constant(12.0, samples=LEAST_SAMPLES - 1), constant(12.0, seconds=LEAST_SECONDS - 0.1)
    for points, reason in ((few, "19 samples of power"), (short, "power over 4.9 s"), ([], "0 samples of power")):
        assert reason in str(shortage(points))
        refused = energy(points, constant(4.0), 10.0, 500)
        assert isinstance(refused, str)
        assert refused.startswith("not available: ") and reason in refused
    assert shortage(constant(12.0, LEAST_SECONDS, LEAST_SAMPLES)) is None


def test_only_samples_with_every_rail_are_summed_and_no_other_rail() -> None:
    rows = [
        row(0, GPU=1000, SOC=500, TOTAL=9000),
        row(1, GPU=2000, TOTAL=9000),
        row(2, GPU=3000, SOC=250),
    ]
    assert module_power(rows, ["GPU", "SOC"]) == [(0, 1.5), (2, 3.25)]
    assert module_power(rows, []) == []


def test_the_window_knows_its_extremes() -> None:
    window = window_power([(0, 1.0), (1, 3.0), (3, 3.0)])
    assert window._replace(mean_w=0.0) == (0.0, 1.0, 3.0, 3, 3)
    assert window.mean_w == pytest.approx(8 / 3)

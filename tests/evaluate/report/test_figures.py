"""Axes of the report's charts begin where the data begin."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from segeval.evaluate import SurvivalReport
from segeval.evaluate.report.breakdown_figure import neighbours
from segeval.evaluate.report.figures import colours_of, data_limits, survival_figure

if TYPE_CHECKING:
    from tests.evaluate.conftest import World


@pytest.mark.parametrize("values", [[0.9, 1.0], [0.95], [1.0], [0.0], [0.0, 1.0], [0.31, 0.32], []])
def test_an_axis_of_shares_holds_its_data_and_little_else(values: list[float]) -> None:
    low, high = data_limits(values)
    known = values or [0.0, 1.0]
    assert low < high and low <= min(known) and max(known) <= high
    assert min(known) - low <= 0.06 and high - max(known) <= 0.06
    assert low >= -0.05 and high <= 1.05


def test_other_axes_do_not_go_below_nothing() -> None:
    low, high = data_limits([0.0, 3.0], share=False)
    assert low == 0 and high == pytest.approx(3.18)
    assert data_limits([2.0, 3.0], share=False)[0] == pytest.approx(1.94)


def test_a_chart_of_high_survival_has_no_empty_room_below_it(shared: tuple["World", SurvivalReport]) -> None:
    rows = [replace(row, survival=replace(row.survival, mean=0.95, low=0.93, high=0.97)) for row in shared[1].survival]
    chart = survival_figure(rows, colours_of(shared[1].set.attacks), "x", "d")
    assert ">0.94<" in chart and ">0.0<" not in chart.partition("survival")[0] and ">0.80<" not in chart


def test_no_line_crosses_bins_that_were_not_measured(shared: tuple["World", SurvivalReport]) -> None:
    row = shared[1].breakdown[0]
    rows = [replace(row, place=place) for place in (0, 1, 3, 4, 7)]
    assert [[each.place for each in run] for run in neighbours(rows)] == [[0, 1], [3, 4], [7]]
    assert neighbours([]) == []

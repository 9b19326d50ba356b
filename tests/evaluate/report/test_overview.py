"""The matrix on the first screen."""

from dataclasses import replace
from typing import TYPE_CHECKING

from segeval.evaluate import SurvivalReport
from segeval.evaluate.measure.estimate_records import Estimate
from segeval.evaluate.measure.report_rows import ReportRows
from segeval.evaluate.report.overview import MOST_LINES, overview
from segeval.evaluate.report.under_attack_section import under_attack_section

if TYPE_CHECKING:
    from tests.evaluate.conftest import World


def share(mean: float) -> Estimate:
    return Estimate(mean, None, None, mean, None, None, 20, 0, "")


def test_cells_are_those_of_their_attack_and_engine(shared: tuple["World", SurvivalReport]) -> None:
    found = overview(ReportRows.of(shared[1]))
    assert found is not None and found.same == ("fp32",) and found.columns == ("int8", "fp16")
    (group,) = found.groups
    assert {line.key.attack for line in group.lines} == {"fgsm-full", "tanh-local"}
    desktop = [estimate.mean or 0.0 for estimate in group.desktop]
    assert desktop == sorted(desktop, reverse=True)
    for line in group.lines:
        assert line.key.task is not None, "a line per task: pooled, the task with the largest φ would win"
        assert [cell and (cell.attack, cell.precision, cell.task) for cell in line.cells] == [
            (line.key.attack, "int8", line.key.task),
            (line.key.attack, "fp16", line.key.task),
        ]


def test_the_model_of_the_headline_comes_first(shared: tuple["World", SurvivalReport]) -> None:
    report = shared[1]
    half = {"survival": share(0.5), "engine_success": share(0.3), "desktop_success": share(0.6)}
    other = [
        replace(row, model="z", victims=("z",), engine=f"z.{row.precision}", **half)  # type: ignore[arg-type]
        for row in report.survival
    ]
    kept = [
        replace(row, gained=share(0.0), survival=share(0.99), engine_success=row.desktop_success)
        for row in report.survival
    ]
    engines = tuple(replace(each, model="z", label=f"z.{each.precision}") for each in report.engines)
    rows = replace(ReportRows.of(report), survival=(*kept, *other), engines=(*report.engines, *engines))
    found = overview(rows)
    assert found is not None and [group.model for group in found.groups] == ["z", "espnet-camvid"]
    assert found.same == (), "only where all networks are as on the desktop"


def test_what_finds_no_room_is_counted_and_nothing_is_nothing(shared: tuple["World", SurvivalReport]) -> None:
    rows = ReportRows.of(shared[1])
    many = tuple(
        replace(row, attack=f"attack-{number}", desktop_success=share(number / 20))
        for number in range(MOST_LINES + 3)
        for row in rows.survival
        if row.attack == "fgsm-full" and row.task == rows.by_task[0].task
    )
    found = overview(replace(rows, survival=many))
    assert found is not None
    (group,) = found.groups
    assert group.left_out == 3 and group.lines[0].key.attack == f"attack-{MOST_LINES + 2}"
    assert overview(replace(rows, survival=())) is None


def test_under_attack_an_engine_as_the_desktop_takes_one_line(shared: tuple["World", SurvivalReport]) -> None:
    section = under_attack_section(shared[1])
    assert section is not None
    for group in section.tables[0].groups:
        assert group.same == ("fp32",)
        assert [row.engine for row in group.changed] == ["desktop", "espnet-camvid.fp16", "espnet-camvid.int8"]
        less = replace(group.rows[1], missing=1)
        assert replace(group, rows=(group.rows[0], less)).same == (), "another number of images is told"

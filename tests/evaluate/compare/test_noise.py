"""Differences between two runs that are no larger than what another order of the same sums changes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from segeval.evaluate import SurvivalReport
from segeval.evaluate.compare import RunComparison, compare_runs, comparison_view, write
from segeval.files.engine_records import NoiseFloor
from segeval.progress import silent

RunOf = Callable[..., Path]
Compared = Callable[[float, int | None], RunComparison]


@pytest.fixture
def compared(run_of: RunOf, base: SurvivalReport) -> Compared:
    """Two runs of which the second loses `more` than the first; `changed` of 1000 labels of its int8 are noise."""

    def compare(more: float, changed: int | None) -> RunComparison:
        runs = []
        for name, lost, own in (("a", 0.4, None), ("b", 0.4 + more, changed)):
            floor = None if own is None else NoiseFloor(1, 1000, {"runs of 1": own, "runs of 4": own // 2})
            engines = tuple(
                replace(each, noise_floor=floor if each.precision == "int8" else None) for each in base.engines
            )
            runs.append(run_of(name, report={"engines": engines}, lost=lost))
        return compare_runs(runs[0], runs[1], 0, silent)

    return compare


def printed(comparison: RunComparison) -> str:
    console = Console(width=200, no_color=True)
    with console.capture() as capture:
        for part in comparison_view(comparison):
            console.print(part)
    return capture.get()


def test_a_significant_difference_within_the_floor_is_named(compared: Compared, tmp_path: Path) -> None:
    found = compared(0.01, 50)
    assert found.changes[0].significant and found.changes[0].within_noise
    assert {change.noise_floor for change in found.changes if change.precision == "int8"} == {0.05}
    assert {change.noise_floor for change in found.changes if change.precision == "fp32"} == {None}
    assert found.finding.endswith(" It is within the noise floor (5.00 %).")
    within = sum(change.within_noise for change in found.changes)
    (note,) = [note for note in found.notes if "noise floor" in note]
    assert note.startswith(f"{within} differences are within the noise floor (5.00 %): ")
    write(found, tmp_path / "out")
    for text in (printed(found), (tmp_path / "out" / "compare.md").read_text()):
        assert "within 5.00" in text and "within the noise floor (5.00 %)" in " ".join(text.split())
    assert {row.noise_floor for row in found.clean if row.precision == "int8"} == {0.05}
    assert "noise_floor" in (tmp_path / "out" / "compare.csv").read_text().splitlines()[0].split(",")


@pytest.mark.parametrize(("more", "changed"), [(0.1, 5), (0.1, 0), (0.1, None)])
def test_a_larger_one_is_not(compared: Compared, more: float, changed: int | None) -> None:
    found = compared(more, changed)
    assert found.changes[0].significant and not found.changes[0].within_noise
    assert "noise floor" not in found.finding
    small = any(0 < abs(change.paired.difference or 0) <= (changed or 0) / 1000 for change in found.changes)
    assert any("noise floor" in note for note in found.notes) == small

"""The noise floor of a bundle's files beside every difference between engines of a report."""

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from segeval.evaluate import SurvivalReport, clean_in_terminal, differences_in_terminal, evaluate, read_report
from segeval.evaluate.measure.within_noise import floor_cell, within_noise
from segeval.files.encoding import encode
from segeval.files.engine_records import NoiseFloor
from segeval.files.storage import write_atomic
from tests.evaluate.test_evaluate import bundle_of

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

Build = Callable[..., "World"]
MODEL = "espnet-camvid"
FLOORS = {"fp32": NoiseFloor(3, 10_000, {"runs of 1": 0, "runs of 4": 0}), "int8": NoiseFloor(3, 10_000, {"a": 53})}


def printed(*parts: Any) -> str:
    console = Console(width=200, no_color=True)
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    return capture.get()


def line_of(text: str, start: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.strip().startswith(start))


@pytest.mark.parametrize(
    ("difference", "floor", "within", "cell"),
    [
        (0.005, 0.0053, True, "within 0.53"),
        (-0.0053, 0.0053, True, "within 0.53"),
        (0.006, 0.0053, False, "0.53"),
        (0.0, 0.0053, False, "0.53"),
        (0.001, 0.0, False, "0"),
        (None, 0.0053, False, "0.53"),
        (0.001, None, False, "–"),
        (0.00001, 0.00002, True, "within <0.01"),
    ],
)
def test_a_difference_up_to_the_floor_is_within_it(
    difference: float | None, floor: float | None, within: bool, cell: str
) -> None:
    assert within_noise(difference, floor) == within
    assert floor_cell(difference, floor) == cell


@pytest.fixture
def measured(build: Build) -> tuple["World", SurvivalReport, Path]:
    """A world whose bundle knows its floors, and its report."""
    world = build(precisions=("fp32", "int8"))
    bundle = bundle_of(world)
    engines = tuple(replace(engine, noise_floor=FLOORS[engine.precision]) for engine in bundle.engines)
    data = encode(replace(bundle, engines=engines))
    write_atomic(world.replay_root / "bundle.json", data)
    world.rewrite_replay(bundle_sha256=sha256(data).hexdigest())
    out = world.set_root.parent / "out"
    return world, evaluate(world.set_root, [world.replay_root], out), out


def test_it_comes_from_the_bundle_into_the_report(measured: tuple["World", SurvivalReport, Path]) -> None:
    _, report, out = measured
    assert [engine.noise_floor for engine in report.engines] == [FLOORS["fp32"], FLOORS["int8"]]
    assert read_report(out) == report
    between = [pair for pair in report.comparisons if pair.between == "engines"]
    assert between and {pair.noise_floor for pair in between} == {0.0053}
    assert {pair.noise_floor for pair in report.comparisons if pair.between == "attacks"} == {None}
    assert "noise_floor" in (out / "comparisons.csv").read_text().splitlines()[0].split(",")


def test_it_stands_beside_what_changes_on_clean_images(measured: tuple["World", SurvivalReport, Path]) -> None:
    _, report, out = measured
    shown = printed(*clean_in_terminal(report))
    equal = {row.engine: row.equal for row in report.clean}[f"{MODEL}.int8"]
    assert equal is not None
    assert line_of(shown, f"{MODEL}.int8") == [f"{MODEL}.int8", f"{100 * (1 - equal):.2f}", "0.53", "3"]
    assert line_of(shown, f"{MODEL}.fp32") == [f"{MODEL}.fp32", "0", "0", "3"]
    page = (out / "report.html").read_text()
    assert "<td>0.53 %</td>" in page and '<th scope="col">Noise floor</th>' in page


def test_a_difference_that_is_more_than_chance_is_named_if_it_is_noise(
    measured: tuple["World", SurvivalReport, Path],
) -> None:
    _, report, _ = measured
    pair = next(pair for pair in report.comparisons if pair.between == "engines")
    for difference, cell in ((0.004, "within 0.53"), (0.04, " 0.53")):
        paired = replace(pair.paired, difference=difference)
        sure = replace(report, comparisons=(replace(pair, paired=paired, p_holm=0.001),))
        shown = printed(*differences_in_terminal(sure))
        assert cell in shown and ("within" in shown) == (difference < 0.0053)


def test_without_a_floor_nothing_is_said_and_earlier_reports_load(
    shared: tuple["World", SurvivalReport], tmp_path: Path
) -> None:
    _, report = shared
    assert list(clean_in_terminal(report)) == []
    document = json.loads(encode(report))
    for each in (*document["engines"], *document["comparisons"]):
        del each["noise_floor"]
    write_atomic(tmp_path / "report.json", json.dumps(document).encode())
    assert read_report(tmp_path) == report

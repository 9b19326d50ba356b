"""Which rows of a report are compared, and that the numbers follow from samples.csv."""

import csv
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from rich.console import Console

from segeval.evaluate import SurvivalReport, differences_in_terminal
from segeval.evaluate.compare.samples_csv import read_samples
from segeval.evaluate.measure import comparisons
from segeval.evaluate.measure.bootstrap import Floats
from segeval.evaluate.measure.comparisons import BETWEEN_ATTACKS, BETWEEN_ENGINES, Question, engine_pairs, plan
from segeval.evaluate.measure.paired import compare, holm
from segeval.evaluate.measure.paired_records import Paired
from segeval.evaluate.measure.report_records import EngineSummary
from segeval.evaluate.measure.report_rows import ReportRows
from segeval.evaluate.measure.statistics import QUANTITIES
from segeval.evaluate.report.verdict import verdict
from segeval.files.engine_records import Calibration
from segeval.progress import silent

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

Shared = tuple["World", SurvivalReport]
MODEL = "espnet-camvid"


def engine(precision: str, variant: str = "", corruption: str = "", replay: int = 0, **parts: Any) -> EngineSummary:
    label = "+".join(part for part in (f"{precision}@{replay}", variant, corruption) if part)
    calibration = Calibration("percentile", 99.99, "", 0, (), ("Conv",), variant, **parts)
    own = None if precision in ("fp32", "fp16") else calibration
    return EngineSummary(label, precision, MODEL, precision, "onnxruntime", "1", replay, True, own, corruption)


def pairs_of(*engines: EngineSummary) -> set[tuple[str, str]]:
    return {(first.label, second.label) for first, second in engine_pairs(engines)}


def test_precisions_are_compared_with_the_first_one() -> None:
    found = pairs_of(engine("fp32"), engine("fp16"), engine("int8"))
    assert found == {("fp32@0", "fp16@0"), ("fp32@0", "int8@0")}


def test_calibrations_are_compared_with_the_one_that_ships() -> None:
    found = pairs_of(engine("fp32"), engine("int8"), engine("int8", "minmax"), engine("int8", "entropy"))
    assert found == {("fp32@0", "int8@0"), ("int8@0", "int8@0+minmax"), ("int8@0", "int8@0+entropy")}


def test_channels_are_compared_with_the_same_engine_in_the_coarsest_precision_alone() -> None:
    plain = (engine("fp32"), engine("int8"), engine("int8", "minmax"))
    behind = [replace(each, corruption="jpeg-75", label=f"{each.label}+jpeg-75") for each in plain]
    assert pairs_of(*plain, *behind) - pairs_of(*plain) == {("int8@0", "int8@0+jpeg-75")}


def test_the_same_engine_of_a_later_replay_is_compared_with_the_first_replays() -> None:
    found = pairs_of(engine("fp32"), engine("int8"), engine("fp32", replay=1), engine("int8", replay=1))
    assert found == {("fp32@0", "int8@0"), ("fp32@1", "int8@1"), ("fp32@0", "fp32@1"), ("int8@0", "int8@1")}


def planned(report: SurvivalReport, *more: EngineSummary) -> list[Question]:
    """The plan of a report in which some engines were run as well, with the rows of its int8 engine."""
    rows = [row for row in report.survival if row.precision == "int8"]
    added = [replace(row, engine=each.label, variant="x") for row in rows for each in more]
    return list(plan(ReportRows((*report.survival, *added), report.clean, (*report.engines, *more))))


def test_the_plan_of_a_report(shared: Shared) -> None:
    found = planned(shared[1])
    between = [pair for pair in found if pair.between == "engines"]
    fp32, fp16, int8 = (f"{MODEL}.{precision}" for precision in ("fp32", "fp16", "int8"))
    expected = set(product(("fgsm-full", "tanh-local"), (fp16, int8), BETWEEN_ENGINES))
    assert {(pair.second.attack, pair.second.engine, pair.quantity) for pair in between} == expected
    assert all(pair.first == pair.second.on(fp32) for pair in between)
    attacks = [pair for pair in found if pair.between == "attacks"]
    assert [pair.quantity for pair in attacks] == list(BETWEEN_ATTACKS)
    for pair in attacks:
        assert (pair.first.attack, pair.second.attack) == ("fgsm-full", "tanh-local")
        assert pair.first.engine == pair.second.engine == int8
    assert {key.task for pair in found for key in (pair.first, pair.second)} == {None}


def test_an_engine_with_a_part_of_the_network_quantized_is_compared_with_nothing(shared: Shared) -> None:
    for part in (engine("int8", "part", only=("encoder",)), engine("int8", "part", without=("encoder",))):
        assert planned(shared[1], part) == planned(shared[1])
    assert len(planned(shared[1], engine("int8", "minmax"))) > len(planned(shared[1]))


def test_attacks_on_other_networks_are_not_compared(shared: Shared) -> None:
    elsewhere = tuple(replace(row, victims=("fast-scnn-camvid",)) for row in shared[1].survival)
    assert list(plan(replace(ReportRows.of(shared[1]), survival=elsewhere))) == []


def test_differences_follow_from_samples_csv(shared: Shared) -> None:
    world, report = shared
    with (world.set_root.parent / "out" / "samples.csv").open(newline="") as file:
        samples = list(csv.DictReader(file))

    def values(attack: str, engine: str, quantity: str) -> dict[str, float]:
        own = [row for row in samples if (row["attack"], row["engine"]) == (attack, engine)]
        part, whole = QUANTITIES[quantity]
        sums = {
            image: [sum(int(row[column]) for row in own if row["image"] == image) for column in (part, whole)]
            for image in {row["image"] for row in own}
        }
        return {image: one / other for image, (one, other) in sums.items()}

    assert len(report.comparisons) == len(planned(report))
    for pair in report.comparisons:
        first = values(pair.first_attack, pair.first_engine, pair.quantity)
        second = values(pair.second_attack, pair.second_engine, pair.quantity)
        change = np.array([second[image] - first[image] for image in sorted(first)])
        assert (pair.paired.images, pair.paired.left_out) == (3, 0)
        assert pair.paired.difference == pytest.approx(change.mean())
        flips = np.array(list(product((1, -1), repeat=3))) @ change / 3
        extreme = min(np.mean(flips >= change.mean() - 1e-12), np.mean(flips <= change.mean() + 1e-12))
        assert pair.paired.p == pytest.approx(min(1.0, 2 * extreme))
    assert [pair.p_holm for pair in report.comparisons] == holm([pair.paired.p for pair in report.comparisons])


def test_the_more_is_compared_the_more_permutations_are_drawn(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    world, report = shared
    drawn = []

    def recorded(first: Floats, second: Floats, seed: int, permutations: int) -> Paired:
        drawn.append(permutations)
        return compare(first, second, seed, permutations)

    counts = [row for rows in read_samples(world.set_root.parent / "out").values() for row in rows]
    monkeypatch.setattr(comparisons, "compare", recorded)
    monkeypatch.setattr(comparisons, "plan", lambda *_: planned(report)[:1] * 150)
    comparisons.comparisons(counts, ReportRows.of(report), report.set.attacks, 0, silent)
    assert drawn == [14_999] * 150


def test_the_csv_has_every_comparison(shared: Shared) -> None:
    world, report = shared
    with (world.set_root.parent / "out" / "comparisons.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["quantity"], row["second_engine"], float(row["p"])) for row in rows] == [
        (pair.quantity, pair.second_engine, pair.paired.p) for pair in report.comparisons
    ]
    assert {row["task"] for row in rows} == {"*"}


def printed(report: SurvivalReport) -> str:
    console = Console(width=150, no_color=True)
    with console.capture() as capture:
        for part in differences_in_terminal(report):
            console.print(part)
    return capture.get()


def test_three_images_are_too_few_and_the_terminal_says_so(shared: Shared) -> None:
    report = shared[1]
    assert f"0 of {len(report.comparisons)} paired differences" in printed(report)
    assert "too few images, or too many comparisons, to tell" in printed(report)
    assert printed(replace(report, comparisons=())) == ""


def test_what_is_more_than_chance_is_shown_and_stands_in_the_verdict(shared: Shared) -> None:
    report = shared[1]
    rows = ReportRows.of(report)
    row = rows.strongest
    assert row is not None and verdict(rows, report.comparisons) == verdict(rows)
    certain = [
        replace(pair, paired=replace(pair.paired, images=40), p_holm=0.0004)
        if (pair.second_attack, pair.quantity) == (row.attack, "survival")
        else pair
        for pair in report.comparisons
    ]
    shown = printed(replace(report, comparisons=tuple(certain)))
    assert f"survival of {row.attack}: int8 against fp32" in shown and "<0.001" in shown
    assert "source accuracy" not in shown
    found = next(pair for pair in certain if pair.p_holm == 0.0004 and pair.second_engine == row.engine)
    difference = found.paired.difference
    assert difference is not None and difference < 0
    alike = [replace(pair, paired=replace(pair.paired, low=None, high=None)) for pair in certain]
    size = f"{-100 * difference:.1f}"
    told = f"Over all tasks, survival is {size} points lower than on {MODEL}.fp32: −{size}"
    assert verdict(rows, alike)[2].startswith(f"{told}, p < 0.001")
    sentence = verdict(rows, certain)[2]
    assert sentence.startswith(f"{told} [−") and "p < 0.001" in sentence
    more = [replace(pair, paired=replace(pair.paired, difference=0.018)) for pair in certain]
    assert f"survival is 1.8 points higher than on {MODEL}.fp32: +1.8 [" in verdict(rows, more)[2]

"""Which rows and engines of a report answers are read off: one of every kind, and by hand which are meant."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from segeval.evaluate import SurvivalReport
from segeval.evaluate.measure.comparisons import plan
from segeval.evaluate.measure.estimate_records import Estimate
from segeval.evaluate.measure.report_records import DESKTOP, CleanRow, EngineSummary, SurvivalRow
from segeval.evaluate.measure.report_rows import ReportRows, coarsest_engine
from segeval.evaluate.report.verdict import MADE_ON_FILES, verdict
from segeval.files.engine_records import Calibration

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

FIRST = Calibration("percentile", 99.99, "", 0, (), ("Conv",))
ENGINES = {
    "a.fp32": ("a", "fp32", "", ""),
    "a.int8": ("a", "int8", "", ""),
    "a.int8-minmax": ("a", "int8", "minmax", ""),
    "a.int8+jpeg-75": ("a", "int8", "", "jpeg-75"),
    "a.int8-minmax+jpeg-75": ("a", "int8", "minmax", "jpeg-75"),
    "b.fp16": ("b", "fp16", "", ""),
}
"""Model, precision, variant and corruption by label."""
ATTACKS = {"weak": 0.4, "strong": 0.9}
"""Success on the desktop."""
VICTIMS = (("a",), ("b",), ("a", "b"))
TASKS = (None, "road", "building")


def estimate(mean: float | None) -> Estimate:
    return Estimate(mean, None, None, mean, None, None, 3, 0, "")


@pytest.fixture(scope="module")
def rows(shared: tuple["World", SurvivalReport]) -> ReportRows:
    """Every engine under every attack on all victims."""
    plain = shared[1]
    survival, engines = [], []
    clean = [replace(plain.clean[0], model=model, engine=DESKTOP) for model in ("a", "b")]
    for label, (model, precision, variant, corruption) in ENGINES.items():
        calibration = replace(FIRST, name=variant) if precision == "int8" else None
        about = {"model": model, "precision": precision, "corruption": corruption}
        engines.append(replace(plain.engines[0], label=label, calibration=calibration, **about))  # type: ignore[arg-type]
        clean.append(replace(plain.clean[0], model=model, engine=label, precision=precision))
        for victims in VICTIMS:
            for attack, success in ATTACKS.items():
                part = success / len(victims)
                row = replace(plain.survival[0], victims=victims, attack=attack, engine=label, variant=variant, **about)  # type: ignore[arg-type]
                known = replace(row, desktop_success=estimate(part), survival=estimate(0.5))
                survival += [replace(known, task=task) for task in TASKS]
    return ReportRows(tuple(survival), tuple(clean), tuple(engines))


def labels(found: Iterable[SurvivalRow | CleanRow | EngineSummary]) -> list[str]:
    return list(dict.fromkeys(each.label if isinstance(each, EngineSummary) else each.engine for each in found))


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("as_shipped", ["a.fp32", "a.int8", "b.fp16"]),
        ("uncorrupted", ["a.fp32", "a.int8", "a.int8-minmax", "b.fp16"]),
        ("first_calibrations", ["a.fp32", "a.int8", "a.int8+jpeg-75", "b.fp16"]),
    ],
)
def test_engines_of_a_kind_come_with_their_rows_and_the_desktop(
    rows: ReportRows, selector: str, expected: list[str]
) -> None:
    found: ReportRows = getattr(rows, selector)
    assert labels(found.engines) == labels(found.survival) == expected
    assert labels(found.clean) == [DESKTOP, *expected] and len(found.clean) == 2 + len(expected)
    assert len(found.survival) == len(expected) * len(VICTIMS) * len(ATTACKS) * len(TASKS)


def test_what_is_about_one_model(rows: ReportRows) -> None:
    about = rows.about("b")
    assert rows.models == ("a", "b") and about.models == ("b",)
    assert {row.model for row in about.survival} == {row.model for row in about.clean} == {"b"}
    assert labels(about.clean) == [DESKTOP, "b.fp16"] and labels(about.survival) == ["b.fp16"]
    assert rows.about("elsewhere") == ReportRows((), (), ())


def test_all_tasks_together_or_the_only_one(rows: ReportRows) -> None:
    assert {row.task for row in rows.together} == {None} and len(rows.together) * len(TASKS) == len(rows.survival)
    single = replace(rows, survival=tuple(row for row in rows.survival if row.task == "road"))
    assert single.together == single.survival


def test_own_attacks_are_those_made_for_the_model_alone_or_with_others(rows: ReportRows) -> None:
    assert {(row.model, row.victims, row.task) for row in rows.own} == {
        ("a", ("a",), None),
        ("a", ("a", "b"), None),
        ("b", ("b",), None),
        ("b", ("a", "b"), None),
    }
    assert labels(rows.own) == list(ENGINES)


def test_the_verdict_is_about_the_strongest_own_attack_on_the_coarsest_engine_that_ships(rows: ReportRows) -> None:
    strongest = rows.strongest
    assert strongest is not None
    assert (strongest.engine, strongest.attack, strongest.victims) == ("a.int8", "strong", ("a",))
    assert labels(rows.headline) == ["a.fp32", "a.int8"]
    assert {row.key.over_engines() for row in rows.headline} == {strongest.key.over_engines()}


def test_an_attack_that_reached_nothing_is_not_the_strongest(rows: ReportRows) -> None:
    def without(attacks: Iterable[str]) -> ReportRows:
        gone = {name: estimate(None) for name in attacks}
        return replace(
            rows, survival=tuple(replace(row, survival=gone.get(row.attack, row.survival)) for row in rows.survival)
        )

    strongest = without(["strong"]).strongest
    assert strongest is not None and strongest.attack == "weak"
    assert without(ATTACKS).strongest is None and without(ATTACKS).headline == ()
    assert ReportRows((), (), ()).strongest is None


def test_survival_is_told_of_attacks_made_on_the_network(rows: ReportRows) -> None:
    found = replace(rows, on_files=frozenset({"strong"}))
    strongest = found.strongest
    assert strongest is not None and strongest.attack == "weak" and {row.attack for row in found.own} == set(ATTACKS)
    assert {row.attack for row in found.on_network.own} == {row.attack for row in found.headline} == {"weak"}
    only = replace(rows, on_files=frozenset(ATTACKS))
    assert only.strongest is None and only.headline == ()
    assert verdict(only) == (MADE_ON_FILES,) and list(plan(only.on_network)) == []
    assert list(plan(found.on_network)) and all(
        {pair.first.attack, pair.second.attack} == {"weak"} for pair in plan(found.on_network)
    )


def test_a_row_by_its_key(rows: ReportRows) -> None:
    for row in rows.survival:
        assert rows.row(row.key) is row
    assert rows.row(rows.survival[0].key.on("elsewhere")) is None
    assert rows.clean_by_engine["b", DESKTOP].model == "b" and len(rows.clean_by_engine) == len(rows.clean)


def test_the_coarsest_engine_is_the_first_of_the_coarsest_precision_that_ships(rows: ReportRows) -> None:
    def coarsest(*names: str) -> str | None:
        found = coarsest_engine([engine for name in names for engine in rows.engines if engine.label == name])
        return None if found is None else found.label

    assert coarsest(*ENGINES) == coarsest(*reversed(ENGINES)) == "a.int8"
    assert coarsest("a.fp32", "a.int8-minmax", "a.int8+jpeg-75") == "a.fp32"
    assert coarsest("a.int8-minmax", "a.int8+jpeg-75") is None
    twice = [replace(rows.engines[1], label=name) for name in ("first", "second")]
    assert coarsest_engine(twice) is twice[0]


def test_the_rows_of_a_report_are_all_of_them(shared: tuple["World", SurvivalReport]) -> None:
    report = shared[1]
    assert ReportRows.of(report) == ReportRows(report.survival, report.clean, report.engines)

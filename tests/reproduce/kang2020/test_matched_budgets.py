"""Matched budgets: envelope, reading off, and what is measured at each radius."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segeval.files.experiments import LEVELS, ExperimentFolder
from segeval.files.set_folder import SetFolder
from segeval.reproduce.kang2020.kang2020_terminal import read
from segeval.reproduce.kang2020.matched_budgets import OUTSIDE, WHOLE_LEVELS, envelope, places, read_off

POINTS = [(0.5, 0.2), (1.0, 0.6), (2.0, 0.4), (3.0, 0.8), (4.0, 0.7)]
# Fractions of integers: strategies for floats refuse to work where denormals are flushed, as crafting does.
SHARE = st.integers(0, 10**6).map(lambda number: number / 10**6)
CHANGE = st.integers(0, 10**6).map(lambda number: 16 * number / 10**6)


def test_the_envelope_leaves_out_what_another_point_beats() -> None:
    assert envelope(POINTS) == [(0.5, 0.2), (1.0, 0.6), (3.0, 0.8)]
    assert envelope([(1.0, 0.2), (1.0, 0.5)]) == [(1.0, 0.5)]
    assert envelope([]) == []


@pytest.mark.parametrize(
    ("level", "success"),
    [(0.5, 0.2), (0.75, 0.4), (1.0, 0.6), (2.0, 0.7), (3.0, 0.8), (3.5, 0.8), (4.0, 0.8), (0.4, None), (4.1, None)],
)
def test_reading_off(level: float, success: float | None) -> None:
    assert read_off(POINTS, level) == (None if success is None else pytest.approx(success))


def test_nothing_is_read_off_nothing() -> None:
    assert read_off([], 1.0) is None
    assert read_off([(1.0, 0.3)], 1.0) == 0.3


@given(st.lists(st.tuples(CHANGE, SHARE), min_size=1), CHANGE)
def test_reading_off_never_falls_and_never_invents(points: list[tuple[float, float]], level: float) -> None:
    found = read_off(points, level)
    changes, successes = zip(*points, strict=True)
    if not min(changes) <= level <= max(changes):
        assert found is None
        return
    assert found is not None
    within = max(success for change, success in points if change <= level)
    assert within - 1e-9 <= found <= max(successes) + 1e-9


def test_points_are_those_of_the_sets(shared: ExperimentFolder) -> None:
    report = read(shared)
    # FGSM within: 6 attacks; radii: 3 × 2; penalties: 5; per scope and model.
    assert len(report.budgets) == (6 + 3 * 2 + 5) * 2 * 2
    for point in report.budgets:
        samples = [
            sample
            for sample in SetFolder(shared.set(point.set)).samples()
            if (sample.attack, sample.victims) == (point.attack, (point.model,))
        ]
        changes = [s.norms.mean_phi if point.scope == "local" else s.norms.mean for s in samples]
        assert point.images == len(samples) == 2
        assert point.change.mean == pytest.approx(sum(changes) / 2)
        assert point.linf == max(s.norms.linf for s in samples)
        successes = [s.counts[point.model].success or 0.0 for s in samples]
        assert point.success.mean == pytest.approx(sum(successes) / 2)
    kinds = {(point.set, point.quantity, point.limit) for point in report.budgets}
    assert {("fgsm-within", "radius", 8.0), ("fgsm-within", "within", 0.25), ("radius-2", "radius", 2.0)} < kinds
    assert ("penalty-100000", "penalty", 100000.0) in kinds


def test_tables_of_both_norms(shared: ExperimentFolder) -> None:
    report = read(shared)
    assert len(report.interpolated) == 2 * 2 * 2 * 2 * len(LEVELS)
    for row in report.interpolated:
        ours = [p for p in report.budgets if (p.model, p.scope, p.method) == (row.model, row.scope, row.method)]
        if row.norm == "mean":
            assert row.success == read_off(places(ours), row.level)
            assert row.reason == ("" if row.success is not None else OUTSIDE) and row.low is None
        elif row.level < 1:
            assert (row.success, row.reason) == (None, WHOLE_LEVELS)
        else:
            (point,) = (p for p in ours if p.set == f"radius-{row.level:g}")
            assert (row.success, row.low, row.high) == (point.success.mean, point.success.low, point.success.high)


def test_the_csv_files_say_the_same(shared: ExperimentFolder) -> None:
    report, root = read(shared), shared.root / "report"
    with (root / "budgets.csv").open() as file:
        assert [float(row["success"]) for row in csv.DictReader(file)] == [p.success.mean for p in report.budgets]
    with (root / "budgets-interpolated.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["success"] for row in rows] == [
        "" if r.success is None else str(r.success) for r in report.interpolated
    ]

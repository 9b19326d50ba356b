"""What tells rows apart: their keys, and the coarser ones."""

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest

from segeval.evaluate import SurvivalReport
from segeval.evaluate.measure.row_key import RowKey

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

KEY = RowKey("a", ("a", "b"), "fgsm", "road", "a.int8")


def test_every_part_tells_keys_apart() -> None:
    others = {"model": "b", "victims": ("a",), "attack": "tanh", "task": None, "engine": "a.fp32"}
    assert set(others) == set(asdict(KEY))
    changed = [RowKey(**{**asdict(KEY), name: value}) for name, value in others.items()]
    assert len({KEY, *changed}) == 1 + len(others)


def test_coarser_keys_forget_one_part_alone() -> None:
    assert KEY.over_tasks() == replace(KEY, task=None)
    assert KEY.over_engines() == RowKey("a", ("a", "b"), "fgsm", "road")
    assert KEY.on("a.fp32") == replace(KEY, engine="a.fp32") and KEY.over_engines().on("a.int8") == KEY
    assert KEY.over_tasks().over_tasks() == KEY.over_tasks()


@pytest.mark.parametrize(
    ("key", "covered"),
    [
        (KEY, True),
        (KEY.over_tasks(), True),
        (replace(KEY, task="building"), False),
        (KEY.over_engines(), False),
        (replace(KEY.over_tasks(), victims=("a",)), False),
    ],
)
def test_a_row_of_all_tasks_covers_those_of_single_ones(key: RowKey, covered: bool) -> None:
    assert key.covers(KEY) == covered
    assert not KEY.covers(KEY.over_tasks())


@pytest.mark.parametrize(
    ("victims", "own", "alone"),
    [(("a",), True, True), (("a", "b"), True, False), (("b", "a"), True, False), (("b",), False, False)],
)
def test_whom_an_attack_was_made_for(victims: tuple[str, ...], own: bool, alone: bool) -> None:
    key = replace(KEY, victims=victims)
    assert (key.own, key.alone) == (own, alone)


def test_every_record_says_what_it_is_about(shared: tuple["World", SurvivalReport]) -> None:
    report = shared[1]
    keys = [row.key for row in report.survival]
    assert len(set(keys)) == len(keys)
    for row in (*report.survival, *report.breakdown):
        assert asdict(row.key) == {name: getattr(row, name) for name in asdict(row.key)}
    assert {row.key for row in report.breakdown} == {key for key in keys if key.task is None}
    assert [curve.key for curve in report.curves] == list(dict.fromkeys(key.over_engines() for key in keys))
    for pair in report.comparisons:
        assert {pair.first, pair.second} <= set(keys)
        assert (pair.second.attack, pair.second.engine) == (pair.second_attack, pair.second_engine)
        assert (pair.first.attack, pair.first.engine) == (pair.first_attack, pair.first_engine)

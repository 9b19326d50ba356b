"""What an attack wants, against its definition in words, pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segeval.classes import CAMVID, CITYSCAPES, parse_task
from segeval.errors import ConfigurationError, UnknownNameError
from segeval.goals import Goal

PIXELS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=30)
GOALS = (Goal((1, 2), 4), Goal((1, 2), None, "lost"), Goal(tuple(range(5)), None, "wrong"))


def wanted(goal: Goal, label: int, clean: int) -> bool:
    """In words."""
    if goal.kind == "class":
        return label == goal.target
    return label not in goal.sources if goal.kind == "lost" else label != clean


@given(PIXELS)
@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.kind)
def test_what_is_reached_is_what_the_words_say(goal: Goal, pixels: list[tuple[int, int]]) -> None:
    labels, clean = (np.array(column, np.uint8) for column in zip(*pixels, strict=True))
    assert goal.reached(labels, clean).tolist() == [wanted(goal, *pixel) for pixel in pixels]
    assert goal.phi(clean).tolist() == [seen in goal.sources for _, seen in pixels]
    damaged = goal.damaged(labels, clean)
    if goal.kind == "class":
        assert damaged.tolist() == [label not in goal.sources for label, _ in pixels]
    else:
        assert np.array_equal(damaged, goal.reached(labels, clean))


def test_what_is_wrong_needs_the_clean_prediction() -> None:
    with pytest.raises(ValueError, match="needs the clean prediction"):
        GOALS[2].reached(np.zeros(3, np.uint8))


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("car,truck:road", "car+truck-to-road", "class"),
        ("car,truck:*", "car+truck-lost", "lost"),
        ("vehicle-lost", "vehicle-lost", "lost"),
        ("untargeted", "untargeted", "wrong"),
        ("*:*", "untargeted", "wrong"),
        ("*:road", "any-to-road", "class"),
    ],
)
def test_tasks_are_written_with_a_star_for_whatever_it_is(text: str, name: str, kind: str) -> None:
    task = parse_task(text)
    goal = task.resolve(CITYSCAPES)
    assert (task.name, goal.kind, goal.target is None) == (name, kind, kind != "class")
    assert kind != "wrong" or goal.sources == tuple(range(19))


def test_every_class_but_the_adversarial_one_is_a_source() -> None:
    assert parse_task("*:sky").resolve(CITYSCAPES) == Goal(tuple(index for index in range(19) if index != 10), 10)


def test_a_source_class_that_the_table_does_not_have_is_left_out_of_what_is_to_be_lost() -> None:
    assert parse_task("vehicle-lost").resolve(CAMVID) == Goal((8,), None, "lost")


@pytest.mark.parametrize("text", ["*,car:*", "*,car:road", "car:"])
def test_a_star_beside_classes_means_nothing(text: str) -> None:
    with pytest.raises(UnknownNameError, match="no attack task"):
        parse_task(text)


def test_a_class_that_no_table_has_is_named() -> None:
    with pytest.raises(ConfigurationError, match="unknown class 'unicorn'"):
        parse_task("unicorn:*").resolve(CITYSCAPES)

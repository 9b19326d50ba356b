"""How attacks are called, and how their names stand in narrow columns."""

import pytest

from segeval.evaluate.measure.row_key import RowKey
from segeval.evaluate.report.wording import attack_name, stacked


@pytest.mark.parametrize(
    ("victims", "name"),
    [
        (("espnet",), "tanh-full"),
        (("espnet", "fast-scnn"), "tanh-full, joint"),
        (("fast-scnn",), "tanh-full for fast-scnn"),
        (("fast-scnn", "other"), "tanh-full for fast-scnn + other"),
    ],
)
def test_an_attack_says_whom_it_was_made_for_unless_it_is_the_model_alone(victims: tuple[str, ...], name: str) -> None:
    assert attack_name(RowKey("espnet", victims, "tanh-full", None)) == name


def test_a_name_is_broken_where_it_can_be_and_keeps_every_letter() -> None:
    assert stacked("fgsm-full, joint") == "fgsm-\nfull,\njoint"
    assert stacked("plain") == "plain"

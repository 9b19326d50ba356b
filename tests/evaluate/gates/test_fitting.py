"""Which attacks a gate is about, when some were made on deployed files."""

import pytest

from segeval.errors import ConfigurationError
from segeval.evaluate.gates.fitting import fitting
from segeval.files.sets import AttackSpec

PLAIN = AttackSpec("fgsm", "default", "full", 4, "best", None, 1.0, {})
ON = AttackSpec("fgsm", "default", "full", 4, "best", None, 1.0, {}, on="int8", engines=("int8",))
ALONE = AttackSpec("tanh", "default", "full", 4, "best", None, None, {}, on="evasive", engines=("int8",))


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        (("success",), (PLAIN, ON, ALONE)),
        (("evaded",), (PLAIN, ON, ALONE)),
        (("survival", "success"), (PLAIN,)),
        (("adaptive_gap",), (ON,)),
    ],
)
def test_survival_is_of_the_network_and_the_gap_of_pairs(
    metrics: tuple[str, ...], expected: tuple[AttackSpec, ...]
) -> None:
    found = fitting("gate", "", metrics, (PLAIN, ON, ALONE))
    assert found == {spec.label for spec in expected}


@pytest.mark.parametrize(
    ("attack", "metrics", "attacks", "hint"),
    [
        ("", ("survival",), (ON, ALONE), "craft with --on fp32 too"),
        (ON.label, ("survival",), (PLAIN, ON), "ask for success or evaded"),
        ("", ("adaptive_gap",), (ON, ALONE), "craft with both, --on fp32 --on int8"),
        ("", ("adaptive_gap", "survival"), (PLAIN, ON), "give two gates"),
        ("fgsm-ful", ("success",), (PLAIN, ON), "did you mean fgsm-full"),
    ],
)
def test_what_fits_nothing_says_what_to_do(
    attack: str, metrics: tuple[str, ...], attacks: tuple[AttackSpec, ...], hint: str
) -> None:
    with pytest.raises(ConfigurationError, match="fits no attack") as caught:
        fitting("gate", attack, metrics, attacks)
    assert hint in caught.value.hint

"""What may make an attack stronger: only what it has."""

from dataclasses import replace

import pytest

from segeval.files.sets import AttackSpec
from segeval.stronger import ways

PGD = AttackSpec("pgd", "default", "full", 50, "best", None, 2.0, {"budget": 2.0, "loss": "ce"})


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (PGD, "a larger budget (--set pgd.budget=4, now 2) or more --steps (now 50)"),
        (replace(PGD, within=1.5), "a larger --within (now 1.5) or more --steps (now 50)"),
        (replace(PGD, attack="tanh", budget=None, parameters={"budget": None}), "more --steps (now 50)"),
        (replace(PGD, attack="cw", budget=None, parameters={"rate": 0.1}), "more --steps (now 50)"),
        (replace(PGD, match="tanh-full"), ""),
        (replace(PGD, attack="pattern", steps=0), ""),
    ],
)
def test_ways(spec: AttackSpec, told: str) -> None:
    assert ways(spec) == told

"""What `segeval craft` says of attacks that failed, with records alone."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from segeval.commands.failed_attacks import MOST_TOLD, failures
from segeval.files.sets import AttackSpec

PGD = AttackSpec("pgd", "default", "full", 50, "best", None, 2.0, {"budget": 2.0})
LOCAL = replace(PGD, scope="local")


def sample(spec: AttackSpec, success: float | None, model: str = "m", task: str = "t") -> Any:
    """Of an image that another network was shown too, where it succeeded."""
    counts = {model: SimpleNamespace(success=success), "other": SimpleNamespace(success=1.0)}
    return SimpleNamespace(attack=spec.label, victims=(model,), task=task, counts=counts)


def test_an_attack_that_failed_is_named_with_what_it_has() -> None:
    samples = [sample(PGD, 0.006), sample(PGD, 0.010), sample(PGD, None), sample(LOCAL, 0.004)]
    assert failures(samples, [PGD, LOCAL]) == [
        "the attack failed: pgd-full (0.8 % of φ), pgd-local (0.4 % of φ). A report will say little; try a larger "
        "budget (--set pgd.budget=4, now 2) or more --steps (now 50)"
    ]


def test_nothing_is_said_where_one_network_or_task_is_fooled_or_files_are_attacked() -> None:
    assert failures([sample(PGD, 0.01), sample(PGD, 0.06, task="u")], [PGD]) == []
    assert failures([sample(PGD, 0.01), sample(PGD, 0.05, model="n")], [PGD]) == []
    evasive = replace(PGD, on="evasive", engines=("int8",))
    assert failures([sample(evasive, 0.0)], [evasive]) == []


def test_of_many_the_first_are_told() -> None:
    many = [replace(PGD, attack=f"a{number}") for number in range(MOST_TOLD + 2)]
    said = failures([sample(spec, 0.0) for spec in many], many)
    assert len(said) == MOST_TOLD + 1 and said[-1] == "2 more attacks failed"

"""`segeval audit`: its table, verdict and exit code, and the same as JSON."""

import json
from collections.abc import Callable
from typing import Any

import pytest

Call = Callable[..., Any]
QUICK = ("--steps", 4, "--restarts", 0, "--limit", 1)


def options(world: Any) -> tuple[object, ...]:
    return ("--dataset", "folder", "--data-root", world.data, "--model", world.model, "--task", world.task, *QUICK)


@pytest.mark.long
def test_an_audit_says_what_each_check_found_and_its_exit_code_is_the_verdict(call: Call, world: Any) -> None:
    ended = call("audit", *options(world), "--json")
    (network,) = json.loads(ended.out)["networks"]
    checks = {check["name"]: check["verdict"] for check in network["checks"]}
    assert list(checks) == [
        "gradient", "loss falls", "more steps", "random starts", "larger budgets", "search without a gradient",
        "no bound", "scale of the logits",
    ]  # fmt: skip
    assert checks["random starts"] == "not checked"
    signs = [check["told"] for check in network["checks"] if check["verdict"] == "sign"]
    assert ended.code == int(bool(signs))
    assert all(told in ended.err for told in signs)
    assert "pgd within 1 level on espnet-synthetic, up to 1 image of folder" in ended.err


def test_a_network_without_a_gradient_fails_and_is_told_so_at_once(call: Call, world: Any, monkeypatch: Any) -> None:
    from segeval.generate.auditing import audit

    monkeypatch.setattr(audit, "is_flat", lambda problem: True)
    ended = call("audit", *options(world))
    assert ended.code == 1
    assert "SIGN" in ended.out and "of them with a zero gradient 1" in ended.out
    assert "the gradient is zero: an attack has nothing to follow" in ended.err
    told = "1 sign that espnet-synthetic misleads pgd, or that it needs more steps; inconclusive with so few steps, 4 "
    assert told in ended.err and "share of the attacked pixels (φ)" in ended.out
    assert "what to do: try more --steps, then another --attack" in ended.err


@pytest.mark.parametrize(
    "wrong, message",
    [
        (("--attack", "ddn"), "--attack ddn has no budget"),
        (("--attack", "pdg"), "no attack 'pdg'"),
        (("--on", "int8"), "attacks on deployed files need a bundle"),
        (("--engine", "int8"), "--bundle, --engine and --forward are for attacks on deployed files"),
        (("--task", "car"), "car"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_computed(
    call: Call, world: Any, wrong: tuple[str, ...], message: str
) -> None:
    ended = call("audit", *options(world), *wrong)
    assert ended.code == 2 and message in ended.err and "what to do:" in ended.err
    assert ended.out == "" and "Traceback" not in ended.err

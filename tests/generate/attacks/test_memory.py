"""What attacks keep in memory while a gradient is computed."""

import weakref
from collections.abc import Callable
from dataclasses import replace

import pytest
from torch import Tensor

from segeval.generate.attacks.problem import Problem
from segeval.generate.attacks.specs import build_attack
from segeval.models import Network


class Watched:
    """A network that looks at every backward pass whether its logits were dropped."""

    def __init__(self, network: Network) -> None:
        self.network, self.spec = network, network.spec
        self.kept: list[bool] = []

    def __call__(self, images: Tensor) -> Tensor:
        before = self.network(images)
        logits = before * 1
        given = weakref.ref(logits)
        if before.requires_grad:
            before.register_hook(lambda gradient: self.kept.append(given() is not None))  # type: ignore[no-untyped-call]
        return logits


@pytest.mark.parametrize("name", ["fgsm", "pgd", "apgd", "padam", "tanh"])
def test_no_logits_are_kept_during_the_backward_pass(name: str, several_classes: Callable[..., Problem]) -> None:
    problem = several_classes("full")
    network = Watched(problem.networks[0])
    candidates = build_attack(name, "default", "full", {}).candidates(replace(problem, networks=(network,)))
    for _ in range(4):
        next(candidates)
    assert network.kept
    assert not any(network.kept)

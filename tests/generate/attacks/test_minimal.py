"""Attacks that look for the smallest change, on a linear network whose smallest change is known in closed form."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segeval.classes import ClassTable
from segeval.errors import ConfigurationError
from segeval.files.sets import Scope
from segeval.generate.attacks.constraints import balance, leads
from segeval.generate.attacks.multipliers import slope
from segeval.generate.attacks.problem import Attack, Problem
from segeval.generate.attacks.proximal import prox_l2, prox_linf
from segeval.generate.attacks.specs import build_attack
from segeval.goals import Goal
from segeval.models import ModelSpec, Preprocessing, Segmenter

ROAD, CAR = 0, 1
WEIGHTS = torch.tensor([[0.5, -0.3, 0.2], [-0.4, 0.1, 0.6], [0.1, 0.2, -0.9]]).double()
SPEC = ModelSpec(
    name="linear",
    builder="",
    outputs=("road", "car", "sky"),
    table=ClassTable(
        "three", ("road", "car", "sky"), ((128, 64, 128), (0, 0, 142), (70, 130, 180)), ("road", "car", "sky")
    ),
    preprocessing=Preprocessing((127.5,) * 3, (127.5,) * 3),
    multiple_of=1,
    size=(12, 16),
    weights=None,
    licence="MIT",
    paper="",
)


@pytest.fixture
def problem() -> Callable[..., Problem]:
    """Two images of cars with little lead under logits = A x, pixel by pixel, and roads that are sure."""

    def make(scope: Scope = "local", steps: int = 60) -> Problem:
        network = nn.Conv2d(3, 3, 1, bias=False).double()
        network.weight.data = 30 * WEIGHTS[:, :, None, None]
        segmenter = Segmenter(SPEC, network).double()
        generator = torch.Generator().manual_seed(0)
        clean = 0.5 + 0.01 * torch.randn(2, 3, 12, 16, generator=generator).double()
        clean[..., 8:] += 0.2 * torch.tensor([1.0, -1.0, 0.2])[:, None, None]
        predicted = segmenter(clean).argmax(1)
        phi = predicted == CAR
        assert 20 < int(phi[0].sum()) < 100 and bool((predicted[..., 8:] == ROAD).all())
        return Problem(clean, predicted, phi, Goal((CAR,), ROAD), scope, (segmenter,), (1, 2), steps)

    return make


def last(attack: Attack, problem: Problem) -> tuple[Tensor, Tensor]:
    """The change of the iterate with the smallest L2 norm that wins all but a hundredth of φ, and the share it wins."""
    best = torch.full((len(problem.clean),), torch.inf).double()
    found, won = torch.zeros_like(problem.clean), torch.zeros_like(best)
    for candidate in islice(attack.candidates(problem), problem.steps + 1):
        change = (candidate.images - problem.clean).detach()
        hit = candidate.logits[0].argmax(1) == ROAD
        share = (hit & problem.phi).flatten(1).sum(1) / problem.phi.flatten(1).sum(1)
        size = change.flatten(1).norm(dim=1)
        better = (share >= 0.99) & (size < best)
        best, won = torch.where(better, size, best), torch.where(better, share, won)
        found = torch.where(better[:, None, None, None], change, found)
    return found, won


def closest(problem: Problem) -> Tensor:
    """Smallest change (N, 3, H, W) in L2 with which every pixel of φ has a road as large as both other classes.

    Three classes have two boundaries: that to the larger one, or where that lets the other one win, to both.
    """
    rows = (WEIGHTS[[CAR, 2]] - WEIGHTS[ROAD]) * 60  # the network sees 2 x - 1
    change = torch.zeros_like(problem.clean)
    for n, y, x in problem.phi.nonzero().tolist():
        lacks = rows @ (problem.clean[n, :, y, x] - 0.5)
        single = [-lacks[k] / rows[k].square().sum() * rows[k] for k in range(2) if lacks[k] > 0]
        both = -torch.linalg.pinv(rows) @ lacks
        fits = [each for each in (*single, both) if bool((lacks + rows @ each <= 1e-9).all())]
        change[n, :, y, x] = min(fits, key=lambda each: float(each.norm()))
    return change


@pytest.mark.parametrize("scope", ["local", "full"])
@pytest.mark.parametrize(
    ("attack", "settings", "excess"),
    [
        ("deepfool", {"kappa": 0.0, "longest": 255.0}, 1.06),
        ("ddn", {"kappa": 0.0, "start": 2.0, "step": 1.0}, 1.15),
        ("cw", {"kappa": 0.0, "rate": 0.002, "const": 10.0}, 1.3),
        ("pdpgd", {"rate": 0.5}, 1.3),
        ("dag", {"step": 0.05}, 1.3),
    ],
)
def test_the_smallest_l2_change_is_nearly_found(
    attack: str, settings: dict[str, Any], excess: float, scope: Scope, problem: Callable[..., Problem]
) -> None:
    given = problem(scope, 120)
    smallest = closest(given).flatten(1).norm(dim=1)
    change, won = last(build_attack(attack, "default", scope, settings), given)
    ratio = change.flatten(1).norm(dim=1) / smallest
    assert bool((won >= 0.99).all()), won
    print(attack, scope, ratio)
    assert bool((ratio < excess).all()) and bool((ratio > 0.9).all()), ratio

"""Losses of the published attacks, pixel by pixel in plain numbers, and how they are descended."""

import math
from collections.abc import Callable
from itertools import islice, pairwise

import pytest
import torch
from torch import Tensor

from segeval.errors import ConfigurationError
from segeval.files.sets import CraftConfig
from segeval.generate.attacks.apgd import APGD
from segeval.generate.attacks.pgd import PGD
from segeval.generate.attacks.pixel_losses import LOSSES, Loss, Pixels
from segeval.generate.attacks.problem import Candidate, Problem
from segeval.generate.attacks.sea import SEA
from segeval.generate.attacks.specs import build_attack, resolve
from segeval.goals import Goal

N, C, H, W = 2, 6, 3, 4
GOALS = (Goal((0, 2), 1), Goal((0, 2), None, "lost"), Goal(tuple(range(C)), None, "wrong"))
PROGRESS = 0.4
every = pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.kind)


def draw(goal: Goal) -> Pixels:
    generator = torch.Generator().manual_seed(5)
    logits = 3 * torch.randn(N, C, H, W, generator=generator, dtype=torch.float64)
    clean = torch.randint(0, C, (N, H, W), generator=generator)
    phi = torch.isin(clean, torch.tensor(goal.sources)) & (torch.rand(N, H, W, generator=generator) < 0.7)
    return Pixels(goal, logits, clean, phi, PROGRESS)


def literal(loss: Loss, goal: Goal, logits: list[float], clean: int, inside: bool, balance: float) -> float:
    """The formulas of the papers for one pixel."""
    exponents = [math.exp(each) for each in logits]
    chances = [each / sum(exponents) for each in exponents]
    gained = not inside or goal.kind == "class"
    label = goal.target if inside and goal.target is not None else clean
    classes = goal.sources if inside and goal.kind == "lost" else (label,)
    p = sum(chances[each] for each in classes)
    shown = max(range(C), key=logits.__getitem__)
    reached = (shown in classes) == gained
    norm, length = math.hypot(*chances), math.hypot(*logits)
    entropy = -math.log(p) if gained else math.log(p)
    # Jensen and Shannon between (p, 1 - p) and (1, 0), by its definition.
    mean = (p + 1) / 2
    shannon = (p * math.log(p / mean) + (1 - p) * math.log(2) + math.log(1 / mean)) / 2
    sign = -1 if gained else 1
    return {
        "ce": entropy,
        "masked": 0 if reached else entropy,
        "balanced": 0 if reached else balance * entropy,
        "segpgd": (PROGRESS / 2 if reached else 1 - PROGRESS / 2) * entropy,
        "cosine": (1 - min(p / norm, 1) if gained else min(p / norm, 1)) * entropy,
        "jensen-shannon": -sign * shannon,
        "logit-cosine": sign * logits[label] / length,
        "masked-logit-cosine": 0 if reached else sign * logits[label] / length,
    }[loss]


@every
@pytest.mark.parametrize("loss", LOSSES)
def test_each_is_the_formula_of_its_paper(goal: Goal, loss: Loss) -> None:
    pixels = draw(goal)
    found = LOSSES[loss](pixels)
    counts = [torch.bincount(labels.flatten(), minlength=C) for labels in pixels.clean]
    for n in range(N):
        for y in range(H):
            for x in range(W):
                clean, inside = int(pixels.clean[n, y, x]), bool(pixels.phi[n, y, x])
                balance = H * W / (int((counts[n] > 0).sum()) * int(counts[n][clean]))
                expected = literal(loss, goal, pixels.logits[n, :, y, x].tolist(), clean, inside, balance)
                assert float(found[n, y, x]) == pytest.approx(expected), (clean, inside)


@every
@pytest.mark.parametrize("loss", LOSSES)
def test_each_is_finite_with_its_gradient_however_sure_the_network_is(goal: Goal, loss: Loss) -> None:
    """The loss of Jensen and Shannon, written as its definition, is not a number here."""
    pixels = draw(goal)
    sure = (200 * torch.nn.functional.one_hot(pixels.clean, C).movedim(3, 1).float()).requires_grad_()
    value = LOSSES[loss](Pixels(goal, sure, pixels.clean, pixels.phi))
    (gradient,) = torch.autograd.grad(value.sum(), sure)
    assert bool(value.isfinite().all()) and bool(gradient.isfinite().all())


def path(attack: PGD | APGD | SEA, problem: Problem) -> list[Candidate]:
    return list(islice(attack.candidates(problem), problem.steps + 1))


def sizes(problem: Problem, candidates: list[Candidate]) -> list[float]:
    return [float((each.images.detach() - problem.clean).abs().max()) * 255 for each in candidates]


def test_signed_steps_fall_from_the_first_to_the_last(several_classes: Callable[..., Problem]) -> None:
    problem = several_classes("full")
    attack = PGD(budget=40, first_step=0.15, last_step=0.025)
    images = [each.images.detach() for each in path(attack, problem)]
    inside = (images[0] > 0.2) & (images[0] < 0.8)  # far from black and white, where steps are cut
    steps = [float((after - before).abs()[inside].max()) * 255 for before, after in pairwise(images)]
    assert steps == pytest.approx([6 - 5 * k / 8 for k in range(9)], abs=1e-3)


def test_restarts_share_the_steps_and_begin_elsewhere(several_classes: Callable[..., Problem]) -> None:
    problem = several_classes("full")
    found = path(PGD(budget=4, restarts=2, start="random"), problem)
    assert [each.restart for each in found] == [0] * 4 + [1] * 3 + [2] * 3
    starts = [found[index].images for index in (0, 4, 7)]
    assert not torch.equal(starts[0], starts[1]) and not torch.equal(starts[1], starts[2])
    assert max(sizes(problem, found)) <= 4 + 1e-4


def test_an_ensemble_comes_from_outside_and_says_so(several_classes: Callable[..., Problem]) -> None:
    problem = several_classes("local")
    found = path(SEA(budget=4), problem)
    assert [each.restart for each in found] == [0] * 4 + [1] * 3 + [2] * 3
    for each, size in zip(found, sizes(problem, found), strict=True):
        assert size <= (8 if each.outside else 4) + 1e-4
    assert any(each.outside for each in found) and not all(each.outside for each in found)


@pytest.mark.parametrize(("attack", "steps", "times"), [("pgd", 9, 10), ("sea", 1, 2)])
def test_more_restarts_than_steps_are_refused_before_anything_is_loaded(attack: str, steps: int, times: int) -> None:
    settings = (f"restarts={times}",) if attack == "pgd" else ()
    config = CraftConfig("folder", ("m",), attacks=(attack,), settings=settings, steps=steps)
    with pytest.raises(ConfigurationError, match=f"attack '{attack}' restarts {times} times, but has {steps} steps"):
        resolve(config)


@pytest.mark.parametrize(
    ("attack", "settings", "message"),
    [
        ("pgd", {"first_step": 0}, "pgd: a step of 0 budgets"),
        ("cospgd", {"budget": 0.5}, "cospgd: a budget of 0.5 levels"),
        ("pgd", {"budget": 1.5}, "pgd: a budget of 1.5 levels"),
        ("pgd", {"momentum": 1}, "pgd: momentum=1"),
        ("apgd", {"restarts": -1}, "apgd: restarts=-1"),
        ("padam", {"rate": 0}, "padam: a rate of 0 levels"),
        ("sea", {"budget": 300}, "sea: a budget of 300 levels"),
        ("segpgd", {"loss": "entropy"}, "attack 'segpgd': loss=entropy is not possible"),
    ],
)
def test_settings_that_cannot_be_are_refused(attack: str, settings: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        build_attack(attack, "default", "full", settings)  # type: ignore[arg-type]

"""The driver alone, fed by an attack that follows a script."""

import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, Literal, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from segeval.errors import EngineError
from segeval.files.sets import AttackSpec, Scope, Setting
from segeval.generate.attacks.fgsm import FGSM
from segeval.generate.attacks.problem import Candidate, Problem
from segeval.generate.crafting.driver import Outcome, run_attack
from segeval.goals import Goal
from segeval.metrics import AttackMeter
from segeval.models import Network

SIDE, TARGET = 4, 1
GOAL = Goal((0,), TARGET)
PIXELS = SIDE * SIDE


@dataclass(frozen=True)
class Scripted:
    """Per step and image: how many pixels are predicted as the target, and by how many levels the image changed."""

    script: Sequence[Sequence[tuple[int, float]]]
    presets: ClassVar[Mapping[tuple[str, Scope], Mapping[str, Setting]]] = {}
    radius: float | None = None

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        for step in self.script:
            images = [clean + change / 255 for clean, (_, change) in zip(problem.clean, step, strict=True)]
            yield Candidate(torch.stack(images), (torch.stack([answer(hit) for hit, _ in step]),))
        raise AssertionError("the driver asked for more steps than it was told to take")


def answer(hit: int) -> Tensor:
    """(2, SIDE, SIDE) logits whose first `hit` pixels are of the target class."""
    logits = torch.zeros(2, PIXELS)
    logits[TARGET] = torch.where(torch.arange(PIXELS) < hit, 1.0, -1.0)
    return logits.view(2, SIDE, SIDE)


def run(
    script: Sequence[Sequence[tuple[int, float]]],
    keep: Literal["best", "last"] = "best",
    stop_at: float | None = None,
    ticks: list[int] | None = None,
    kind: type[Scripted] = Scripted,
) -> list[Outcome]:
    """Attack grey images of which every pixel is φ."""
    count = len(script[0])
    clean = [np.full((SIDE, SIDE, 3), 100, np.uint8) for _ in range(count)]
    phi = torch.ones(count, SIDE, SIDE, dtype=torch.bool)
    images = torch.full((count, 3, SIDE, SIDE), 100 / 255)
    problem = Problem(images, phi.long() * 0, phi, GOAL, "local", (), tuple(range(count)), len(script) - 1)
    spec = AttackSpec("scripted", "default", "local", len(script) - 1, keep, stop_at, None, {})
    meters = [AttackMeter(mask.numpy(), GOAL) for mask in phi]
    tick = (lambda step: None) if ticks is None else ticks.append
    limits = [[None]] * count
    return [
        outcome for (outcome,) in run_attack(kind(script), [spec], problem, ["victim"], meters, clean, limits, tick)
    ]


def test_a_curve_has_the_start_and_every_step() -> None:
    script = [[(step, 2.0 * step)] for step in range(6)]
    ticks: list[int] = []
    (outcome,) = run(script, ticks=ticks)
    assert [step.counts["victim"].hit for step in outcome.curve] == [0, 1, 2, 3, 4, 5]
    assert [step.mean for step in outcome.curve] == pytest.approx([0.0, 2.0, 4.0, 6.0, 8.0, 10.0], abs=1e-4)
    assert [step.mean_phi for step in outcome.curve] == [step.mean for step in outcome.curve]
    assert ticks == [0, 1, 2, 3, 4, 5]


@dataclass(frozen=True)
class Watching(Scripted):
    """Looks whether its candidates are let go."""

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        given = list(islice(super().candidates(problem), len(self.script)))
        while given:
            seen = weakref.ref(given[0])
            yield given.pop(0)
            assert seen() is None, "their logits stay in memory while the attack goes on"


def test_no_candidate_is_kept_while_the_attack_goes_on() -> None:
    run([[(step, 2.0 * step)] for step in range(4)], kind=Watching)


def test_the_best_step_is_that_of_the_highest_success_and_of_ties_the_smallest_change() -> None:
    script = [[(0, 0.0)], [(9, 5.0)], [(9, 3.0)], [(9, 4.0)], [(9, 3.0)], [(2, 1.0)]]
    (outcome,) = run(script)
    assert outcome.step == 2
    assert (outcome.image == 103).all()
    (last,) = run(script, keep="last")
    assert last.step == 5
    assert (last.image == 101).all()


def test_an_attack_without_any_success_saves_its_smallest_change() -> None:
    (outcome,) = run([[(0, 2.0)], [(0, 1.0)], [(0, 3.0)]])
    assert outcome.step == 1


def test_an_attack_that_diverges_is_an_error_and_no_success() -> None:
    with pytest.raises(EngineError, match="scripted-local diverged at step 1"):
        run([[(0, 0.0)], [(9, float("nan"))]])


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_one_logit_that_is_not_finite_is_an_error_and_no_success(bad: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever class it is of: the first pixel still shows the target, the last one what it did."""
    whole = answer(9)
    for place in ((1 - TARGET, 0, 0), (TARGET, 3, 3)):
        broken = whole.clone()
        broken[place] = bad
        monkeypatch.setattr(f"{__name__}.answer", lambda hit, given=broken: given if hit else whole)
        with pytest.raises(EngineError, match="scripted-local diverged at step 1"):
            run([[(0, 0.0)], [(9, 1.0)]])


def test_images_stop_each_by_itself() -> None:
    script = [[(hit, float(step)), (2 * step, step + 10.0)] for step, hit in enumerate([0, 16, 3, 4, 5])]
    ticks: list[int] = []
    first, second = run(script, keep="last", stop_at=0.5, ticks=ticks)
    assert (len(first.curve), first.step) == (2, 1)
    assert (first.image == 101).all()
    assert (len(second.curve), second.step) == (5, 4)
    assert (second.image == 114).all()
    assert ticks == [0, 1, 2, 3, 4]
    alone = run([[step[1]] for step in script], keep="last", stop_at=0.5)[0]
    assert alone.curve == second.curve


def test_what_becomes_of_an_image_that_is_done_is_no_error() -> None:
    """Its logits of 0 have no gradient, and an attack may divide by that."""
    outcomes = run([[(0, 0.0)] * 2, [(16, 1.0), (2, 1.0)], [(0, float("nan")), (16, 2.0)]], "best", 1.0)
    assert [(outcome.step, len(outcome.curve)) for outcome in outcomes] == [(1, 2), (2, 3)]


def test_a_batch_ends_when_its_last_image_is_finished() -> None:
    ticks: list[int] = []
    outcomes = run(
        [[(0, 0.0), (0, 0.0)], [(16, 1.0), (2, 1.0)], [(0, 2.0), (16, 2.0)], [(0, 3.0)] * 2], "best", 1.0, ticks
    )
    assert ticks == [0, 1, 2]
    assert [outcome.step for outcome in outcomes] == [1, 2]


def test_no_network_is_asked_about_an_image_that_is_done() -> None:
    """A step of one level turns a pixel; the first image has one pixel to turn, the second needs eight steps."""
    asked: list[int] = []

    def network(images: Tensor) -> Tensor:
        asked.append(len(images))
        turned = (images.mean(1) - 100 / 255) * 255 - torch.linspace(0.5, 7.5, PIXELS).view(SIDE, SIDE)
        return torch.stack([-turned, turned], 1)

    clean = [np.full((SIDE, SIDE, 3), 100, np.uint8)] * 2
    phi = torch.zeros(2, SIDE, SIDE, dtype=torch.bool)
    phi[0, 0, 0] = phi[1] = True
    images = torch.full((2, 3, SIDE, SIDE), 100 / 255)
    problem = Problem(images, phi.long() * 0, phi, GOAL, "full", (cast("Network", network),), (0, 1), 20)
    spec = AttackSpec("fgsm", "default", "full", 20, "best", 1.0, 8.0, {})
    meters = [AttackMeter(mask.numpy(), GOAL) for mask in phi]
    attack = FGSM(budget=8.0, step=1.0)
    outcomes = run_attack(attack, [spec], problem, ["victim"], meters, clean, [[None]] * 2, lambda step: None)
    assert [outcome[0].step for outcome in outcomes] == [1, 8]
    assert asked == [2, 2] + [1] * 7
    assert not problem.done, "the images are done for this attack alone"


def test_within_a_mean_change_the_best_iterate_that_keeps_it_is_saved() -> None:
    script = [[(0, 0.0)], [(3, 1.0)], [(9, 3.0)], [(5, 2.0)], [(12, 6.0)]]
    phi = torch.ones(1, SIDE, SIDE, dtype=torch.bool)
    clean = np.full((SIDE, SIDE, 3), 100, np.uint8)
    images = torch.full((1, 3, SIDE, SIDE), 100 / 255)
    problem = Problem(images, phi.long() * 0, phi, GOAL, "full", (), (0,), 4)
    limits = (None, 5.0, 2.0, 1.4, 0.5)
    specs = [AttackSpec("scripted", "default", "full", 4, "best", None, None, {}, limit) for limit in limits]
    (found,) = run_attack(
        Scripted(script),
        specs,
        problem,
        ["victim"],
        [AttackMeter(phi[0].numpy(), GOAL)],
        [clean],
        [limits],
        lambda step: None,
    )
    assert [outcome.step for outcome in found] == [4, 2, 3, 1, 0]
    assert [int(outcome.image[0, 0, 0]) for outcome in found] == [106, 103, 102, 101, 100]


@dataclass(frozen=True)
class Smallest(Scripted):
    """A script of an attack that looks for the smallest change with which three quarters of φ are won."""

    aim: float = 0.75


def test_beyond_its_aim_an_attack_has_its_smallest_change_saved() -> None:
    """Within a limit it is success alone that counts."""
    script = [[(0, 0.0)], [(16, 0.9)], [(13, 0.4)], [(11, 0.1)], [(14, 0.45)]]
    phi = torch.ones(1, SIDE, SIDE, dtype=torch.bool)
    clean = np.full((SIDE, SIDE, 3), 100, np.uint8)
    problem = Problem(torch.full((1, 3, SIDE, SIDE), 100 / 255), phi.long() * 0, phi, GOAL, "full", (), (0,), 4)
    limits = (None, 2.0)
    specs = [AttackSpec("scripted", "default", "full", 4, "best", None, None, {}, limit) for limit in limits]
    meters = [AttackMeter(phi[0].numpy(), GOAL)]
    ((free, within),) = run_attack(
        Smallest(script), specs, problem, ["victim"], meters, [clean], [limits], lambda step: None
    )
    assert (free.step, within.step) == (2, 1)


@dataclass(frozen=True)
class BegunAnew(Scripted):
    """A script in starts of three steps each, whose change grows within a start."""

    matched: ClassVar[Mapping[str, Setting]] = {"step": 0.1}
    restarts: int = 1

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        for number, each in enumerate(super().candidates(problem)):
            yield Candidate(each.images, each.logits, restart=number // 3)


def test_a_start_that_goes_too_far_is_ended_and_the_next_one_is_looked_at() -> None:
    """The limit is 2 levels; the first start leaves it for good, and the second one does better within it."""
    script = [[(0, 0.0)], [(2, 1.0)], [(16, 9.0)], [(5, 0.0)], [(8, 2.0)], [(16, 30.0)], [(16, 30.0)]]
    phi = torch.ones(1, SIDE, SIDE, dtype=torch.bool)
    problem = Problem(torch.full((1, 3, SIDE, SIDE), 100 / 255), phi.long() * 0, phi, GOAL, "full", (), (0,), 6)
    for restarts, step, taken in ((1, 4, 5), (0, 1, 2)):
        ticks: list[int] = []
        ((found,),) = run_attack(
            BegunAnew(script, restarts=restarts),
            [AttackSpec("scripted", "default", "full", 6, "best", None, None, {}, 2.0)],
            problem,
            ["victim"],
            [AttackMeter(phi[0].numpy(), GOAL)],
            [np.full((SIDE, SIDE, 3), 100, np.uint8)],
            [[2.0]],
            ticks.append,
        )
        assert (found.step, ticks[-1]) == (step, taken)

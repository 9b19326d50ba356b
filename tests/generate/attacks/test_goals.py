"""Losses and margins of goals against softmax probabilities, pixel by pixel in double precision."""

import math

import pytest
import torch
from torch import Tensor

from segeval.generate.attacks.goal_losses import evasive_loss, goal_cross_entropy, goal_margin, goal_probability
from segeval.generate.attacks.losses import difference
from segeval.goals import Goal

N, C, H, W = 2, 6, 3, 4
GOALS = (Goal((0, 2), 1), Goal((0, 2), None, "lost"), Goal(tuple(range(C)), None, "wrong"))
every = pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.kind)


def draw() -> tuple[Tensor, Tensor, Tensor]:
    """Random logits, clean prediction and φ."""
    generator = torch.Generator().manual_seed(5)
    logits = 3 * torch.randn(N, C, H, W, generator=generator, dtype=torch.float64)
    clean = torch.randint(0, C, (N, H, W), generator=generator)
    return logits, clean, torch.rand(N, H, W, generator=generator) < 0.5


def accepted(goal: Goal, clean: int) -> list[int]:
    """The classes that the goal takes of a pixel, in words."""
    if goal.kind == "class":
        return [goal.target or 0]
    return [each for each in range(C) if (each != clean if goal.kind == "wrong" else each not in goal.sources)]


@every
def test_each_is_what_the_probabilities_say(goal: Goal) -> None:
    logits, clean, phi = draw()
    loss, margin = goal_cross_entropy(goal, logits, clean, phi), goal_margin(goal, logits, clean)
    chance = goal_probability(goal, logits.softmax(1), clean)
    for n in range(N):
        for y in range(H):
            for x in range(W):
                own, here = logits[n, :, y, x].tolist(), int(clean[n, y, x])
                total = sum(map(math.exp, own))
                wanted = accepted(goal, here)
                p = sum(math.exp(own[each]) for each in wanted) / total
                kept = math.exp(own[here]) / total
                assert float(loss[n, y, x]) == pytest.approx(-math.log(p if phi[n, y, x] else kept))
                lead = max(own[each] for each in wanted) - max(own[e] for e in range(C) if e not in wanted)
                assert float(margin[n, y, x]) == pytest.approx(lead)
                assert float(chance[n, y, x]) == pytest.approx(p)


@every
def test_a_margin_is_above_zero_exactly_where_the_goal_is_reached(goal: Goal) -> None:
    logits, clean, _ = draw()
    reached = goal.reached(logits.argmax(1).byte().numpy(), clean.byte().numpy())
    assert ((goal_margin(goal, logits, clean) > 0).numpy() == reached).all() and reached.any() and not reached.all()


@every
def test_the_loss_is_finite_and_has_a_gradient_for_sure_predictions(goal: Goal) -> None:
    _, clean, phi = draw()
    sure = (40 * torch.nn.functional.one_hot(clean, C).movedim(3, 1).float()).requires_grad_()
    loss = goal_cross_entropy(goal, sure, clean, phi)
    (gradient,) = torch.autograd.grad(loss.sum(), sure)
    assert bool(loss.isfinite().all()) and bool(gradient.isfinite().all())
    attacked = phi & torch.isin(clean, torch.tensor(goal.sources))
    assert bool((gradient.abs().amax(1)[attacked] > 0.5).all())


@pytest.mark.parametrize("goal", GOALS[1:], ids=lambda goal: goal.kind)
def test_the_difference_of_several_accepted_classes_is_their_lead_turned_round(goal: Goal) -> None:
    logits, clean, phi = draw()
    found = difference(goal, logits, clean, phi, None)
    assert torch.equal(found, torch.where(phi, -goal_margin(goal, logits, clean), 0))
    assert difference(goal, logits, clean, phi, 0.5).min() >= -0.5


def test_an_evasive_loss_is_what_both_networks_lack() -> None:
    """Two files and one network that is not to notice, pixel by pixel in plain numbers."""
    goal, unaware = Goal((0, 2), 1), (True, False, False)
    _, clean, phi = draw()
    generator = torch.Generator().manual_seed(6)
    logits = [3 * torch.randn(N, C, H, W, generator=generator, dtype=torch.float64) for _ in unaware]
    # What each shows by itself, which of several victims is not what they predict together.
    shown = [torch.randint(0, C, (N, H, W), generator=generator) for _ in unaware]
    loss = evasive_loss([goal] * 3, logits, [clean] * 3, shown, phi, unaware)

    def lead(network: int, n: int, y: int, x: int, label: int) -> float:
        own = logits[network][n, :, y, x].tolist()
        return 1 / (1 + math.exp(-(own[label] - max(own[:label] + own[label + 1 :]))))

    for n in range(N):
        inside = int(phi[n].sum())
        for y in range(H):
            for x in range(W):
                own = [int(labels[n, y, x]) for labels in shown]
                calm = lead(0, n, y, x, own[0])
                fooled = sum(lead(file, n, y, x, 1 if phi[n, y, x] else own[file]) for file in (1, 2)) / 2
                weight = 1 if phi[n, y, x] else 0.1 * inside / (H * W - inside)
                assert float(loss[n, y, x]) == pytest.approx(weight * (1 - calm - calm * fooled))


def test_an_evasive_loss_is_least_where_the_file_is_fooled_and_the_network_is_not() -> None:
    goal, clean, phi = Goal((0,), 1), torch.zeros(1, 1, 1, dtype=torch.long), torch.ones(1, 1, 1, dtype=torch.bool)
    right, fooled = (torch.tensor([lead, 0.0]).view(1, 2, 1, 1) for lead in (9.0, -9.0))
    losses = {
        (one is fooled, other is fooled): float(
            evasive_loss([goal] * 2, [one, other], [clean] * 2, [clean] * 2, phi, (True, False)).sum()
        )
        for one in (right, fooled)
        for other in (right, fooled)
    }
    assert losses[False, True] == pytest.approx(-1, abs=1e-3)
    assert min(losses, key=losses.__getitem__) == (False, True)
    assert losses[True, True] > losses[False, False]  # a desktop that notices is worse than nothing achieved

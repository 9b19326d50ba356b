"""Attacks that look for the smallest change: closed forms on a linear network, and the steps of public code, PGD's too.

The numbers of `AUTHORS` come from adv-lib 0.2.8 (https://github.com/jeromerony/adversarial-library), those of PGD from
torchattacks 3.5.1, printed by benchmarks/peers/trajectories.py, which says what they are of.
"""

from collections.abc import Callable, Mapping
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
from segeval.generate.attacks.goal_losses import clean_margin, goal_margin
from segeval.generate.attacks.multipliers import slope
from segeval.generate.attacks.problem import Attack, Problem
from segeval.generate.attacks.proximal import prox_l2, prox_linf
from segeval.generate.attacks.specs import build_attack
from segeval.goals import Goal
from segeval.models import ModelSpec, Preprocessing, Segmenter

ROAD, CAR = 0, 1
WEIGHTS = torch.tensor([[0.5, -0.3, 0.2], [-0.4, 0.1, 0.6], [0.1, 0.2, -0.9]]).double()
BOUNDARIES = (WEIGHTS[[1, 2]] - WEIGHTS[0]) * 60  # the network sees 2 x - 1
"""Rows by which car and sky exceed road."""
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


def last(attack: Attack, problem: Problem, order: float = 2) -> Tensor:
    """(N,) norm of the smallest change among the iterates that win all but a hundredth of φ."""
    best = torch.full((len(problem.clean),), torch.inf).double()
    for candidate in islice(attack.candidates(problem), problem.steps + 1):
        hit = (candidate.logits[0].argmax(1) == ROAD) & problem.phi
        won = hit.flatten(1).sum(1) >= 0.99 * problem.phi.flatten(1).sum(1)
        size = torch.linalg.vector_norm((candidate.images - problem.clean).detach().flatten(1), order, 1)
        best = torch.where(won, torch.minimum(best, size), best)
    return best


def closest(problem: Problem) -> Tensor:
    """(N,) smallest L2 norm of a change with which every pixel of φ has a road as large as both other classes.

    Three classes have two boundaries: the closest point lies on one of them, or on both.
    """
    sizes = torch.zeros(len(problem.clean)).double()
    for n, y, x in problem.phi.nonzero().tolist():
        lacks = BOUNDARIES @ (problem.clean[n, :, y, x] - 0.5)
        ends = [-lacks[k] / BOUNDARIES[k].square().sum() * BOUNDARIES[k] for k in range(2) if lacks[k] > 0]
        ends.append(-torch.linalg.pinv(BOUNDARIES) @ lacks)
        sizes[n] += min(float(each.square().sum()) for each in ends if bool((lacks + BOUNDARIES @ each < 1e-9).all()))
    return sizes.sqrt()


@pytest.mark.parametrize("scope", ["local", "full"])
@pytest.mark.parametrize(
    ("attack", "settings", "excess"),
    [
        ("deepfool", {"kappa": 0.0, "longest": 255.0}, 1.04),
        ("ddn", {"kappa": 0.1, "start": 2.0, "step": 1.0}, 1.3),
        ("cw", {"kappa": 0.1, "rate": 0.005, "const": 10.0}, 1.25),
        ("pdpgd", {"rate": 1.0}, 1.6),
        ("dag", {"step": 0.3}, 1.1),
    ],
)
def test_the_smallest_l2_change_is_nearly_found(
    attack: str, settings: dict[str, Any], excess: float, scope: Scope, problem: Callable[..., Problem]
) -> None:
    given = problem(scope)
    ratio = last(build_attack(attack, "default", scope, settings), given) / closest(given)
    assert bool((ratio < excess).all()) and bool((ratio > 0.95).all()), ratio


@pytest.mark.parametrize(
    ("attack", "settings", "excess"),
    [
        ("alma-prox", {"rate": 0.3, "check": 5}, 1.7),
        ("pdpgd", {"distance": "linf", "rate": 1.0}, 1.7),
        ("deepfool", {"distance": "linf", "kappa": 0.0, "longest": 0.2}, 1.35),
    ],
)
def test_the_smallest_linf_change_is_nearly_found(
    attack: str, settings: dict[str, Any], excess: float, problem: Callable[..., Problem]
) -> None:
    """The pixel that lacks most decides; it cannot need less than the farther of its boundaries alone."""
    given = problem("full")
    lacks = torch.einsum("kc,nchw->knhw", BOUNDARIES, given.clean - 0.5)
    least = (lacks / BOUNDARIES.abs().sum(1)[:, None, None, None]).amax(0).masked_fill(~given.phi, 0).amax((1, 2))
    ratio = last(build_attack(attack, "default", "full", settings), given, torch.inf) / least
    assert bool((ratio < excess).all()) and bool((ratio >= 0.99).all()), ratio


def test_the_pixels_with_the_most_to_gain_go_to_their_ends(problem: Callable[..., Problem]) -> None:
    given = problem("local")
    start, first, second = (
        each.images.detach()
        for each in islice(build_attack("jsma", "default", "local", {"share": 0.1}).candidates(given), 3)
    )
    other = BOUNDARIES[(BOUNDARIES @ (given.clean[0] - 0.5).flatten(1)).argmax(0)].T.view(3, 12, 16)
    room = torch.where(other > 0, given.clean[0], 1 - given.clean[0])
    gain = (other.abs() * room).sum(0).masked_fill(~given.phi[0], 0)
    count = int(np.ceil(0.1 * int(given.phi[0].sum())))
    expected = gain >= gain.flatten().topk(count).values[-1]
    changed = (first[0] != start[0]).any(0)
    assert torch.equal(start, given.clean) and torch.equal(changed, expected)
    assert set(first[0][:, changed].flatten().tolist()) == {0.0, 1.0}
    assert bool((second[0] != start[0]).any(0)[changed].all())
    assert int(((second[0] != start[0]).any(0) & given.phi[0]).sum()) <= 2 * count


AUTHORS: Mapping[tuple[str, int], tuple[float, float]] = {
    ("dag", 1): (-0.098430334, -0.131710385),
    ("dag", 10): (-0.994519434, -1.088324014),
    ("dag", 20): (-1.945074003, -2.072445833),
    ("dag", 39): (-3.573134012, -3.720944317),
    ("alma-prox", 1): (-0.096552906, -0.105000091),
    ("alma-prox", 10): (-1.001810032, -1.103092329),
    ("alma-prox", 20): (-2.064527780, -2.094628920),
    ("alma-prox", 39): (-2.583123981, -2.601869746),
    ("pdpgd/l2", 1): (-0.014476715, 0.000000000),
    ("pdpgd/l2", 10): (-0.558495020, -0.291034398),
    ("pdpgd/l2", 20): (-1.346819390, -1.060979604),
    ("pdpgd/l2", 39): (-1.909622141, -1.608651010),
    ("pdpgd/linf", 1): (-0.698923795, -0.887809051),
    ("pdpgd/linf", 10): (-5.159427193, -5.731112735),
    ("pdpgd/linf", 20): (-7.089385043, -7.344146211),
    ("pdpgd/linf", 39): (-7.872310235, -8.029120068),
    ("pgd/paper", 1): (-1.051702697, -1.056200065),
    ("pgd/paper", 10): (-5.170876135, -4.641127068),
    ("pgd/paper", 20): (-5.081739664, -4.673133337),
    ("pgd/paper", 39): (-5.200013628, -4.688894567),
    ("pgd/untargeted", 1): (0.323769612, 0.147091191),
    ("pgd/untargeted", 10): (0.805492240, 0.659900172),
    ("pgd/untargeted", 20): (0.792974566, 0.585659529),
    ("pgd/untargeted", 39): (0.815366007, 0.612732321),
    ("pgd/momentum", 1): (-1.051702697, -1.056200065),
    ("pgd/momentum", 10): (-5.385407404, -4.826221018),
    ("pgd/momentum", 20): (-5.232674060, -4.778235464),
    ("pgd/momentum", 39): (-5.213355820, -4.767871075),
}
"""Per attack and step, for each of two images the sum of its change times numbers from -1 to 1."""
SETTINGS: Mapping[str, dict[str, Any]] = {
    "dag": {"step": 0.765, "outside": 0.0},
    "alma-prox": {"rate": 0.255, "tolerance": 0.0, "outside": 0.0},
    "pdpgd/l2": {"rate": 2.55, "outside": 0.0},
    "pdpgd/linf": {"rate": 2.55, "distance": "linf", "outside": 0.0},
    "pgd/paper": {"budget": 8.0, "start": "clean"},
    "pgd/untargeted": {"budget": 8.0, "start": "clean"},
    "pgd/momentum": {"budget": 8.0, "start": "clean", "momentum": 0.75},
}
CLASSES, STEPS = 19, 40


def noise() -> Problem:
    """Two grey images with noise, of which the four most common classes are to become the fifth."""
    rng = np.random.default_rng(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, CLASSES, 3, padding=1))
    for parameter in network.parameters():
        parameter.data = torch.from_numpy(rng.standard_normal(parameter.shape))
    clean = torch.from_numpy(0.3 + 0.4 * rng.random((2, 3, 16, 24)))
    predicted = network.requires_grad_(False)(clean).argmax(1)
    target, *sources = torch.bincount(predicted.flatten()).argsort(descending=True)[:5].tolist()
    phi = torch.isin(predicted, torch.tensor(sources))
    goal = Goal(tuple(sources), target)
    return Problem(clean, predicted, phi, goal, "full", (network,), (1, 2), STEPS)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SETTINGS)
def test_steps_are_those_of_public_code(name: str) -> None:
    attack, _, variant = name.partition("/")
    given = noise()
    if variant == "untargeted":
        goal = Goal(tuple(range(CLASSES)), None, "wrong")
        given = replace(given, goal=goal, phi=torch.ones_like(given.phi))
    probe = torch.linspace(-1, 1, given.clean[0].numel(), dtype=torch.float64).view_as(given.clean[0])
    built = build_attack(attack, "paper" if attack == "pgd" else "default", "full", SETTINGS[name])
    path = [each.images.detach() for each in islice(built.candidates(given), STEPS)]
    for (who, step), expected in AUTHORS.items():
        if who == name:
            found = ((path[step] - given.clean) * probe).flatten(1).sum(1).tolist()
            # Their proximal operator of ALMA is exact to 1e-6 per pixel, that of PDPGD is iterated.
            assert found == pytest.approx(expected, abs=1e-8 if attack in ("dag", "pgd") else 2e-4), step


def test_proximal_operators_minimise_what_they_say() -> None:
    """Against the best of a dense grid of norms, and against the equation that the minimum of a smooth function has."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 3, 4, 5, generator=generator).double()
    metric = torch.rand(3, 3, 4, 5, generator=generator).double() + 0.1
    weight = torch.tensor([0.5, 4.0, 1000.0]).double().view(3, 1, 1, 1)
    low, high = torch.full_like(x, -0.9), torch.full_like(x, 1.2)

    def cost(z: Tensor) -> Tensor:
        square = (metric * (z - x).square()).sum((1, 2, 3), keepdim=True) / 2
        return square + weight * z.abs().amax((1, 2, 3), keepdim=True)

    found = prox_linf(x, weight, metric, low, high)
    grid = [x.clamp(-0.9, 1.2).clamp(-t, t) for t in torch.linspace(0, 1.2, 4001).tolist()]
    best = torch.stack([cost(each) for each in grid]).amin(0)
    assert bool((cost(found) <= best + 1e-9).all()) and bool((best - cost(found) < 1e-3).all())
    assert found[2].abs().max() < 1e-9 and found[0].abs().max() > 0.1
    shrunk = prox_l2(x, weight, metric)
    assert shrunk[2].abs().max() < 1e-9
    slopes = (
        metric * (shrunk - x) + weight * shrunk / shrunk.flatten(1).norm(dim=1).clamp(min=1e-300)[:, None, None, None]
    )
    assert slopes[:2].abs().max() < 1e-8


def test_a_penalty_has_the_slope_of_its_formula() -> None:
    y = torch.tensor([-3.0, -0.2, 0.0, 0.3, 2.0]).double().requires_grad_()
    for rho, mu in ((0.01, 1.0), (0.5, 0.2), (8.0, 0.7)):
        above = mu * y + mu * rho * y**2 + rho**2 * y**3 / 6
        penalty = torch.where(y >= 0, above, mu * y / (1 - max(rho, 1) * y.clamp(max=0)))
        (expected,) = torch.autograd.grad(penalty.sum(), y)
        found = slope(y.detach(), torch.full_like(y, rho).detach(), torch.full_like(y, mu).detach())
        assert torch.allclose(found, expected)


def test_leads_are_of_what_is_desired_where_and_by_whom() -> None:
    generator = torch.Generator().manual_seed(2)
    logits = [torch.randn(2, 6, 3, 4, generator=generator) for _ in range(2)]
    predicted, shown = (torch.randint(0, 6, (2, 3, 4), generator=generator) for _ in range(2))
    phi = torch.isin(predicted, torch.tensor([0, 2]))
    for goal in (Goal((0, 2), 1), Goal((0, 2), None, "lost"), Goal(tuple(range(6)), None, "wrong")):
        for unaware in ((), (True, False)):
            given = Problem(
                *(torch.zeros(2, 3, 3, 4), predicted, phi, goal, "full", (None, None), (1, 2), 3),  # type: ignore[arg-type]
                unaware=unaware,
                shown=(shown, shown) if unaware else (),
            )
            found = leads(given, logits)
            kept = shown if unaware else predicted
            for number, each in enumerate(logits):
                inside = goal_margin(goal, each, predicted)
                if unaware and number == 0:
                    inside = clean_margin(each, shown)
                assert torch.equal(found[number], torch.where(phi, inside, clean_margin(each, kept)))


def test_weights_add_up_and_no_pixel_outside_weighs_more_than_one_of_phi(problem: Callable[..., Problem]) -> None:
    given = problem("full")
    for outside in (0.0, 0.3, 1.0):
        weights = balance(given, outside)
        assert torch.allclose((weights * given.phi).flatten(1).sum(1), torch.ones(2).double())
        assert torch.allclose((weights * ~given.phi).flatten(1).sum(1), torch.full((2,), outside).double())
    assert bool((balance(problem("local"), 1.0)[~given.phi] == 0).all())


@pytest.mark.parametrize(
    ("attack", "setting", "value"),
    [
        ("ddn", "factor", 1.0),
        ("dag", "step", 0.0),
        ("deepfool", "longest", -1.0),
        ("jsma", "share", 1.5),
        ("pdpgd", "average", 1.0),
        ("cw", "rounds", 0),
        ("alma-prox", "rho", float("inf")),
    ],
)
def test_a_setting_out_of_range_is_named(attack: str, setting: str, value: float) -> None:
    with pytest.raises(ConfigurationError, match=f"{attack}: {setting}={value}"):
        build_attack(attack, "default", "full", {setting: value})

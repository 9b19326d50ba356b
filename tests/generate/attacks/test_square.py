"""The search in squares: what it keeps, where it looks, and the closed form on a linear network."""

from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from segeval.errors import ConfigurationError
from segeval.files.sets import Scope
from segeval.generate.attacks.problem import Candidate, Problem
from segeval.generate.attacks.square import Square
from segeval.goals import Goal

ROAD, CAR = 0, 1
WEIGHTS = torch.tensor([[0.5, -0.3, 0.2], [-0.4, 0.1, 0.6]])
UPHILL = (WEIGHTS[CAR] - WEIGHTS[ROAD]).sign()


class Linear(nn.Module):
    """logits = A x, pixel by pixel. It counts its queries, none of which may ask for a gradient."""

    queries = 0

    def forward(self, images: Tensor) -> Tensor:
        assert not torch.is_grad_enabled() and not images.requires_grad
        self.queries += 1
        return torch.einsum("kc,nchw->nkhw", WEIGHTS.to(images), images)


def problem(height: int, width: int, scope: Scope, steps: int, images: int = 1) -> Problem:
    """Random images of cars, those in the left half to become road."""
    levels = torch.randint(0, 256, (images, 3, height, width), generator=torch.Generator().manual_seed(0))
    phi = torch.zeros(images, height, width, dtype=torch.bool)
    phi[:, :, : width // 2] = True
    network: Any = Linear()
    cars = torch.full_like(phi, CAR, dtype=torch.long)
    return Problem(levels / 255, cars, phi, Goal((CAR,), ROAD), scope, (network,), tuple(range(images)), steps)


def found(attack: Square, given: Problem) -> list[Candidate]:
    return list(islice(attack.candidates(given), given.steps + 1))


def test_squares_of_one_pixel_find_the_best_corner_of_a_linear_network() -> None:
    """Each pixel's loss depends on that pixel alone, so the best of the eight corners is kept wherever it is tried."""
    given = problem(2, 4, "full", steps=600)
    best = min(found(Square(budget=2, area=0.01), given), key=lambda each: float(given.loss(each.logits)))
    towards = torch.where(given.phi[0], -1, 1) * UPHILL[:, None, None]
    corner = (given.clean + 2 / 255 * towards).clamp(0, 1)
    assert torch.allclose(best.images, corner, atol=1e-6)


def test_one_query_a_step_and_no_gradient() -> None:
    given = problem(8, 8, "full", steps=20)
    found(Square(), given)
    (network,) = given.networks
    assert isinstance(network, Linear) and network.queries == 21


@pytest.mark.parametrize("scope", ["local", "full"])
def test_each_try_differs_from_the_best_so_far_by_one_square(scope: Scope) -> None:
    given = problem(20, 30, scope, steps=40)
    best, least, in_phi = given.clean, float("inf"), []
    for step, each in enumerate(found(Square(budget=3), given)):
        if step > 1:
            rows, columns = (each.images != best)[0].any(0).nonzero().unbind(1)
            side = max(1, round((0.05 * 0.5 ** (4 * (step - 1) / 40) * 600) ** 0.5))
            assert len(rows) == 0 or (rows.max() - rows.min() < side and columns.max() - columns.min() < side)
            in_phi.append(bool((columns < 15 + side // 2).all()))
        change = (each.images - given.clean).abs() * 255
        assert change.max() <= 3 + 1e-3 and (scope == "full" or not change[:, :, :, 15:].any())
        loss = float(given.loss(each.logits))
        best, least = (each.images, loss) if loss < least else (best, least)
    assert all(in_phi[::2]), "every other step looks around φ"
    assert all(in_phi) == (scope == "local")
    with torch.no_grad():
        assert least < float(given.loss(given.logits(given.clean)))


def test_stripes_that_lead_away_are_left_for_the_clean_image() -> None:
    """Of two images, one whose stripes help and one whose stripes do not, each goes on from what is better."""
    given = problem(6, 6, "full", steps=2, images=8)
    clean, stripes, third = found(Square(area=0.001), given)
    helped = given.loss(stripes.logits) < given.loss(clean.logits)
    assert 0 < int(helped.sum()) < 8
    from_stripes = (third.images != stripes.images).flatten(1).sum(1)
    from_clean = (third.images != clean.images).flatten(1).sum(1)
    assert torch.equal(helped, from_stripes < from_clean)


def test_an_image_alone_takes_the_same_way(several_classes: Any) -> None:
    batch = several_classes("full", torch.float64)
    alone = replace(batch, **{name: getattr(batch, name)[1:2] for name in ("clean", "predicted", "phi", "seeds")})
    for whole, single in zip(islice(Square().candidates(batch), 9), islice(Square().candidates(alone), 9), strict=True):
        assert torch.equal(whole.images[1:2], single.images)


@pytest.mark.parametrize("settings", [{"budget": 0.5}, {"budget": 1.5}, {"area": 0.0}, {"area": 1.5}])
def test_settings_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        Square(**settings)

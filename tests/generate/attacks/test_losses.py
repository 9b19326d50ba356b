"""The losses against literal, slow references in double precision."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from segeval.generate.attacks.losses import difference, hardness
from segeval.generate.attacks.problem import mean_weights, weighted_sum
from segeval.goals import Goal

N, C, H, W, TARGET = 2, 5, 3, 4, 1
GOAL = Goal((0, 2), TARGET)


def draw(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Random logits, clean prediction and φ."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(N, C, H, W, generator=generator, dtype=torch.float64)
    predicted = torch.randint(0, C, (N, H, W), generator=generator)
    return logits, predicted, torch.rand(N, H, W, generator=generator) < 0.4


@pytest.mark.parametrize("seed", range(3))
def test_the_difference_is_that_of_two_cross_entropies(seed: int) -> None:
    logits, predicted, phi = draw(seed)
    desired = torch.where(phi, TARGET, predicted)
    to_desired = F.cross_entropy(logits, desired, reduction="none")
    to_kept = F.cross_entropy(logits, predicted, reduction="none")
    found = difference(GOAL, logits, predicted, phi, None)
    assert torch.allclose(found, to_desired - to_kept, atol=1e-12)
    assert found.min() < -0.5
    clamped = difference(GOAL, logits, predicted, phi, 0.5)
    assert torch.equal(clamped, torch.where(found < -0.5, -0.5, found))


def test_a_won_pixel_no_longer_pulls_under_kappa() -> None:
    logits = torch.tensor([[[[4.0, 0.0]], [[0.0, 4.0]]]], requires_grad=True)  # wanted: class 0; won, and not
    ones = torch.ones(1, 1, 2, dtype=torch.long)
    for kappa, expected in ((None, [-1.0, -1.0]), (5.0, [-1.0, -1.0]), (1.0, [0.0, -1.0])):
        (gradient,) = torch.autograd.grad(difference(Goal((1,), 0), logits, ones, ones > 0, kappa).sum(), logits)
        assert gradient[0, 0, 0].tolist() == expected


@pytest.mark.parametrize("kind", ["none", "balanced", "source", "margin", "adversarial"])
@pytest.mark.parametrize("seed", range(2))
def test_hardness_weights_pixel_by_pixel(kind: str, seed: int) -> None:
    logits, predicted, phi = draw(seed)
    found = hardness([logits], predicted, phi, GOAL, kind)  # type: ignore[arg-type]
    for n in range(N):
        inside = sum(bool(pixel) for pixel in phi[n].flatten())
        for y in range(H):
            for x in range(W):
                exponentials = [math.exp(value) for value in logits[n, :, y, x].tolist()]
                p = [value / sum(exponentials) for value in exponentials]
                expected = {
                    "none": 1.0,
                    "balanced": (H * W - inside) / inside,
                    "source": (p[predicted[n, y, x]] - min(p)) / (max(p) - min(p)),
                    "margin": (max(p) - p[TARGET]) / (max(p) - min(p)),
                    "adversarial": p[TARGET],
                }[kind]
                assert float(found[n, y, x]) == pytest.approx(expected if phi[n, y, x] else 1.0, abs=1e-6)


def test_hardness_is_a_constant_and_finite_where_nothing_can_be_divided() -> None:
    logits = torch.zeros(1, C, 2, 2, requires_grad=True)
    labels, everything = torch.zeros(1, 2, 2, dtype=torch.long), torch.ones(1, 2, 2, dtype=torch.bool)
    for kind in ("balanced", "source", "margin", "adversarial"):
        for phi in (everything, ~everything):
            weights = hardness([logits], labels, phi, GOAL, kind)
            assert not weights.requires_grad
            assert torch.isfinite(weights).all()


def test_means_over_regions() -> None:
    logits, predicted, phi = draw(0)
    phi[1] = False
    values = -logits.log_softmax(1).gather(1, predicted[:, None])[:, 0]
    found = weighted_sum(values, mean_weights(phi, values.dtype))
    assert torch.allclose(found, torch.stack([values[0][phi[0]].mean(), torch.zeros(()).double()]))

"""Multipliers, one per pixel and network: of ALMA prox (Rony et al. 2023, arXiv:2206.07179) and of PDPGD."""

import torch
from torch import Tensor

IMPROVED = 0.95
"""A constraint improves if it falls to this share of itself (τ)."""
GROWTH = 2.0
"""Of the penalty parameter where it does not (γ)."""
SCALE = 0.02
"""By which the scale of the constraints is changed in each step."""
SMALLEST_SCALE, LARGEST_SCALE = 0.1, 1.0


class Multipliers:
    """μ and ρ of every constraint, and the scale w of all constraints of an image.

    Args:
        like: (K, N, H, W) numbers of the constraints' kind.
        phi: (N, H, W) bool.
        rho: first penalty parameter.
        check: steps between two looks whether constraints improve.
        average: share of a multiplier that is kept in a step.
    """

    def __init__(self, like: Tensor, phi: Tensor, rho: float, check: int, average: float) -> None:
        self.phi, self.check, self.average = phi, check, average
        self.mu = torch.ones_like(like)
        self.rho = torch.full_like(self.mu, rho)
        self.scale = torch.ones_like(like[0, :, :1, :1])
        self.met = torch.zeros_like(self.mu, dtype=torch.bool)
        self.before = self.mu

    def update(self, constraints: Tensor, won: Tensor, number: int, spared: float) -> Tensor:
        """(K, N, H, W) what each constraint pulls with in this step: its penalty's slope, times the scale.

        Args:
            constraints: (K, N, H, W), 0 or below where met.
            won: (N,) which images succeed: their constraints are scaled down, those of others up.
            number: of the step.
            spared: share of φ, those farthest from being met, that does not pull.
        """
        step = torch.where(won, 1 + SCALE, 1 - SCALE)[:, None, None]
        self.scale = (self.scale / step).clamp(SMALLEST_SCALE, LARGEST_SCALE)
        scaled = self.scale * constraints
        self.met |= constraints <= 0
        if number == 0:
            self.before = scaled
        elif (number + 1) % self.check == 0:
            stuck = ~self.met & (scaled > IMPROVED * self.before)
            self.rho = torch.where(stuck, GROWTH * self.rho, self.rho)
            self.before, self.met = scaled, torch.zeros_like(self.met)
        pulling = scaled <= self.limit(scaled, spared)
        if number:
            target = torch.where(pulling, slope(scaled, self.rho, self.mu), 0)
            self.mu = torch.lerp(target, self.mu, self.average).clamp(1e-12, 1)
        return self.scale * slope(scaled, self.rho, self.mu) * pulling

    def limit(self, scaled: Tensor, spared: float) -> Tensor:
        """(K, N, H, W) the largest constraint of each pixel that still pulls; without bound outside φ."""
        limits = torch.full_like(scaled, torch.inf)
        for network in range(scaled.shape[0]):
            for image, phi in enumerate(self.phi):
                if count := int(spared * int(phi.sum())):
                    values = scaled[network, image][phi]
                    limits[network, image][phi] = values.topk(count).values[-1]
        return limits


def slope(y: Tensor, rho: Tensor, mu: Tensor) -> Tensor:
    """Derivative by y of the penalty P2: μ y + μ ρ y² + ρ² y³ / 6 above 0, μ y / (1 - max(ρ, 1) y) below."""
    above = mu + 2 * mu * rho * y + rho.square() * y.square() / 2
    below = mu / (1 - rho.clamp(min=1) * y.clamp(max=0)).square()
    return torch.where(y >= 0, above, below)


def share_of_all(dual: Tensor) -> Tensor:
    """(K, N, H, W) softmax of logarithms of multipliers and the 0 of the norm, per image."""
    largest = dual.amax((0, 2, 3), keepdim=True).clamp(min=0)
    exponentials = (dual - largest).exp()
    return exponentials / (exponentials.sum((0, 2, 3), keepdim=True) + (-largest).exp())


def weight_of_norm(shown: Tensor) -> Tensor:
    """(N, 1, 1, 1) weight of the norm against that of all constraints."""
    total = shown.sum((0, 2, 3))[:, None, None, None]
    return (1 - total).clamp(min=0) / total.clamp(min=1e-12)

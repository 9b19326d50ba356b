"""The non-linear attack of Kang et al. 2020 (doi 10.1109/ACCESS.2020.2973069, Eq. 2–8, Algorithms 1 and 2)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import ClassVar, Literal

import torch
from torch import Tensor

from segeval.errors import ConfigurationError

from .adam import Adam
from .budgets import require_budget
from .losses import FIXED, Omega, hardness
from .problem import Candidate, Presets, Problem, mean_weights, weighted_sum
from .tanh_images import anchor, near
from .tanh_losses import differences, squared_change, still_source


@dataclass(frozen=True)
class Tanh:
    """Optimise a scale W and an offset ξ per pixel and channel; the image is tanh(W ⊙ a(I) + ξ), in [-1, 1].

    Attributes:
        penalty: weight λ of the mean squared perturbation (summed over channels, in units of [-1, 1]).
        rate: Adam's learning rate.
        anchor: a(I), `atanh` of the clean image so that it starts there, `literal` the image itself as printed, or
            `accumulate`, the image of the step before.
        loss: cross entropy (`ce`) or, for the local scope, Eq. 6 (`difference`); kappa bounds the latter.
        omega: weights of the cross entropy (Eq. 4).
        mask: φ stays that of the clean image (`frozen`) or is inferred again each step (`shrinking`).
        budget: L-infinity radius in 0–255 levels that the image is clipped to, none as published.
    """

    norm: ClassVar = "L2, by a penalty"
    paper: ClassVar = "Kang et al. 2020, doi:10.1109/ACCESS.2020.2973069"
    presets: ClassVar[Presets] = {
        ("paper", "local"): {"loss": "difference"},
        ("paper", "full"): {"omega": "source"},
        ("default", "full"): {"omega": "balanced"},
    }
    local_only: ClassVar = {"loss": "difference", "mask": "shrinking"}
    own_loss: ClassVar = ("loss", "kappa", "omega", "mask")

    penalty: float = 1000.0
    rate: float = 0.01
    anchor: Literal["atanh", "literal", "accumulate"] = "atanh"
    loss: Literal["ce", "difference"] = "ce"
    kappa: float | None = None
    omega: Omega = "none"
    mask: Literal["frozen", "shrinking"] = "frozen"
    budget: float | None = None

    def __post_init__(self) -> None:
        if not (0 < self.rate < inf and 0 <= self.penalty < inf and (self.kappa is None or 0 <= self.kappa < inf)):
            raise ConfigurationError(
                f"tanh: rate={self.rate}, penalty={self.penalty}, kappa={self.kappa}",
                "rate is above 0, penalty and kappa are 0 or above, all of them finite",
            )
        if self.loss == "ce" and self.kappa is not None:
            raise ConfigurationError(f"tanh: kappa={self.kappa} with loss=ce", "kappa works only with loss=difference")
        if self.loss == "difference" and self.omega not in ("none", "balanced"):  # balanced: the full scope's default
            raise ConfigurationError(f"tanh: omega={self.omega} with loss=difference", "omega works only with loss=ce")
        if self.budget is not None:
            require_budget("tanh", self.budget)

    @property
    def radius(self) -> float | None:
        """The method bounds no norm; `budget` does."""
        return self.budget

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        """Yield one image per Adam step on W and ξ."""
        made = near(problem, anchor(problem.clean) if self.anchor == "atanh" else 2 * problem.clean - 1, self.budget)
        variables = (made.scale, made.offset)
        optimiser = Adam(variables, self.rate, fused=True)
        current, active, inside = problem.clean, problem.phi, problem.region_weights
        weights: Tensor | None = None
        while True:
            images = torch.where(active[:, None], made.drawn(), current) if problem.scope == "local" else made.drawn()
            logits = problem.logits(images)
            yield Candidate(images, logits)
            if weights is None or self.omega not in FIXED:
                weights = self.weights(problem, logits)
            objective = self.objective(problem, images, logits, inside, weights)
            if self.mask == "shrinking":
                current, active = images.detach(), problem.phi & still_source(problem, logits)
                inside = mean_weights(active, inside.dtype)
            del logits
            optimiser.step(torch.autograd.grad(objective.sum(), variables))
            made.hold()
            if self.anchor == "accumulate":
                made.start = 2 * images.detach() - 1

    def weights(self, problem: Problem, logits: Sequence[Tensor]) -> Tensor:
        """(N, H, W) ω of the classification loss."""
        omega: Omega = self.omega if self.loss == "ce" else "none"
        return hardness(problem.aligned(logits), problem.predicted, problem.phi, problem.goal, omega)

    def objective(
        self, problem: Problem, images: Tensor, logits: Sequence[Tensor], inside: Tensor, weights: Tensor
    ) -> Tensor:
        """(N,) classification loss summed over the networks, plus the penalty.

        Args:
            problem: the attack problem.
            images: (N, 3, H, W).
            logits: (N, C, H, W) of every network.
            inside: (N, H, W) weights of a mean over the pixels that may change.
            weights: (N, H, W) `weights`.
        """
        penalty = self.penalty * squared_change(images, problem.clean, inside)
        losses = problem.pixel_losses(logits) if self.loss == "ce" else differences(problem, logits, self.kappa)
        return sum((weighted_sum(loss, weights * inside) for loss in losses), start=penalty)

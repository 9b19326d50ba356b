"""The non-linear attack of Kang et al. 2020 (doi 10.1109/ACCESS.2020.2973069, Eq. 2–8, Algorithms 1 and 2)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import ClassVar, Literal

import torch
from torch import Tensor

from segeval.errors import ConfigurationError

from .budgets import Linf, require_budget
from .losses import Omega, difference, hardness, joint_labels, mean_over
from .problem import Candidate, Presets, Problem


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
        scale = problem.uniform(0.99, 1.01, stream=0).requires_grad_()
        offset = problem.uniform(-0.01, 0.01, stream=1).requires_grad_()
        optimiser = torch.optim.Adam([scale, offset], lr=self.rate, fused=True)
        start = anchor(problem.clean) if self.anchor == "atanh" else 2 * problem.clean - 1
        current, active = problem.clean, problem.phi
        while True:
            drawn = self.bounded((torch.tanh(scale * start + offset) + 1) / 2, problem.clean)
            images = torch.where(active[:, None], drawn, current) if problem.scope == "local" else drawn
            logits = problem.logits(images)
            yield Candidate(images, logits)
            objective = self.objective(problem, images, logits, active)
            scale.grad, offset.grad = torch.autograd.grad(objective.sum(), (scale, offset))
            optimiser.step()
            self.hold(scale, offset, start, problem.clean)
            if self.mask == "shrinking":
                current, active = images.detach(), problem.phi & still_source(problem, logits)
            if self.anchor == "accumulate":
                start = 2 * images.detach() - 1

    @torch.no_grad()
    def hold(self, scale: Tensor, offset: Tensor, start: Tensor, clean: Tensor) -> None:
        """Bring ξ back to where the image is within the budget: clipping alone would leave it without a gradient."""
        if self.budget is None:
            return
        drawn = (torch.tanh(scale * start + offset) + 1) / 2
        held = self.bounded(drawn, clean)
        offset.copy_(torch.where(held == drawn, offset, anchor(held) - scale * start))

    def bounded(self, images: Tensor, clean: Tensor) -> Tensor:
        """Images within the budget, if there is one."""
        return images if self.budget is None else Linf(self.budget).project(images, clean)

    def objective(self, problem: Problem, images: Tensor, logits: Sequence[Tensor], active: Tensor) -> Tensor:
        """(N,) classification loss summed over the networks, plus the penalty."""
        region = active if problem.scope == "local" else problem.region
        squares = (2 * (images - problem.clean)).square().sum(1)
        total = self.penalty * mean_over(squares, region)
        omega = self.omega if self.loss == "ce" else "none"
        weights = hardness(problem.aligned(logits), problem.predicted, problem.phi, problem.goal, omega)
        for loss in self.pixel_losses(problem, logits):
            total = total + mean_over(weights * loss, region)
        return total

    def pixel_losses(self, problem: Problem, logits: Sequence[Tensor]) -> list[Tensor]:
        """(N, H, W) per network Eq. 6, or the losses of the problem."""
        if self.loss == "ce":
            return problem.pixel_losses(logits)
        return [
            difference(problem.own_goal(number), each, problem.own(number, problem.predicted), problem.phi, self.kappa)
            for number, each in enumerate(logits)
        ]


def anchor(clean: Tensor) -> Tensor:
    """atanh of the image on [-1, 1], kept one level away from the ends, where it is infinite."""
    return torch.atanh((2 * clean - 1).clamp(-1 + 1 / 255, 1 - 1 / 255))


def still_source(problem: Problem, logits: Sequence[Tensor]) -> Tensor:
    """(N, H, W) pixels that the networks together still predict as a source class; untargeted, as the clean class."""
    labels = joint_labels(problem.aligned(logits))
    if problem.goal.kind == "wrong":
        return labels == problem.predicted
    return torch.isin(labels, torch.tensor(problem.goal.sources, device=problem.phi.device))

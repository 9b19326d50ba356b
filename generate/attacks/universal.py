"""One change for all images (Moosavi-Dezfooli et al. 2017, https://arxiv.org/abs/1610.08401)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from segeval.errors import ConfigurationError

from .budgets import require_budget
from .pixel_losses import Loss
from .problem import Problem
from .ranges import require

LARGEST = 127
"""Levels that the picture of a change can hold."""


@dataclass(frozen=True)
class Universal:
    """The same change of the whole image, in whole levels, for every image of one size.

    The paper adds up DeepFool steps of single images; here, as in later work (Shafahi et al. 2020, arXiv:1811.11304),
    it is the mean loss of several images that is descended.

    Attributes:
        budget: L-infinity radius in 0–255 levels.
        loss: what is descended, see `pixel_losses`.
        outside: weight of all pixels outside φ together, against 1 for φ.
        first_step: change of the first step, in budgets.
        last_step: of the last one; steps between fall evenly.
    """

    budget: float = 8.0
    loss: Loss = "cosine"
    outside: float = 1.0
    first_step: float = 0.25
    last_step: float = 0.01

    def __post_init__(self) -> None:
        require_budget("universal", self.budget)
        if self.budget > LARGEST:
            raise ConfigurationError(f"universal: a budget of {self.budget:g} levels", f"at most {LARGEST}")
        require("universal", self, from_zero=("outside",))

    @property
    def radius(self) -> float:
        """L-infinity budget in 0–255 levels."""
        return self.budget

    def start(self, height: int, width: int) -> Tensor:
        """(3, H, W) no change."""
        return torch.zeros(3, height, width)

    def moved(self, values: Tensor, direction: Tensor, between: float) -> Tensor:
        """The change after a signed step.

        Args:
            values: (3, H, W) the change, in units of [0, 1].
            direction: (3, H, W) -1, 0 or 1, against which it goes.
            between: 0 for the first step, 1 for the last.
        """
        largest = self.budget / 255
        size = largest * (self.first_step + between * (self.last_step - self.first_step))
        return (values - size * direction).clamp(-largest, largest)

    def applied(self, values: Tensor, problem: Problem, region: tuple[int, ...] = ()) -> Tensor:
        """(N, 3, H, W) the images with the change, which has no region."""
        return problem.confine(problem.clean + values)

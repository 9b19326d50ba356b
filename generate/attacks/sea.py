"""SEA: the ensemble for segmentation of Croce, Singh and Hein (ECCV 2024, https://arxiv.org/abs/2306.12941)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from .adaptive_descent import descents
from .budgets import require_budget
from .pixel_losses import Loss
from .problem import Candidate, Presets, Problem
from .starts import runs

PARTS: tuple[Loss, ...] = ("masked", "balanced", "jensen-shannon")


@dataclass(frozen=True)
class SEA:
    """APGD with each of three losses in turn, from larger budgets down to this one; the best image of all is kept.

    The paper gives each part 300 steps; here they share `steps`.

    Attributes:
        budget: L-infinity radius in 0–255 levels.
    """

    norm: ClassVar = "L∞"
    paper: ClassVar = "Croce et al. 2024, arXiv:2306.12941"
    presets: ClassVar[Presets] = {}
    restarts: ClassVar = len(PARTS) - 1

    budget: float = 2.0

    def __post_init__(self) -> None:
        require_budget("sea", self.budget)

    @property
    def radius(self) -> float:
        """L-infinity budget in 0–255 levels."""
        return self.budget

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        """Yield what every part tries; images beyond the budget say so."""
        for loss, run in zip(PARTS, runs(problem, self.restarts), strict=True):
            yield from descents(problem, run, self.budget, loss, "random", wide=True)

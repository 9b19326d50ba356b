"""Auto-PGD (Croce and Hein 2020, https://arxiv.org/abs/2003.01690) with the losses for segmentation of SEA."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from segeval.errors import ConfigurationError

from .adaptive_descent import descents
from .budgets import require_budget
from .pixel_losses import Loss
from .problem import Candidate, Presets, Problem
from .starts import Start, runs


@dataclass(frozen=True)
class APGD:
    """Signed steps with momentum; an image whose loss gets no smaller goes back to its best, with half the step.

    Attributes:
        budget: L-infinity radius in 0–255 levels.
        loss: what is descended, see `pixel_losses`. Steps are judged by cross entropy, as SEA does.
        start: where it begins.
        restarts: number of restarts; all runs share the steps.
        wide: whether it begins in twice and one and a half times the budget, for 30 % of the steps each.
    """

    norm: ClassVar = "L∞"
    paper: ClassVar = "Croce and Hein 2020, arXiv:2003.01690"
    presets: ClassVar[Presets] = {}
    own_loss: ClassVar = ("loss",)

    budget: float = 2.0
    loss: Loss = "masked"
    start: Start = "random"
    restarts: int = 0
    wide: bool = False

    def __post_init__(self) -> None:
        require_budget("apgd", self.budget)
        if self.restarts < 0:
            raise ConfigurationError(f"apgd: restarts={self.restarts}", "restarts are 0 or more")

    @property
    def radius(self) -> float:
        """L-infinity budget in 0–255 levels."""
        return self.budget

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        """Yield the start, then one image per step; those beyond the budget say so."""
        for run in runs(problem, self.restarts):
            yield from descents(problem, run, self.budget, self.loss, self.start, self.wide)

"""Primal-dual proximal gradient descent (Matyasko and Chau 2021, https://arxiv.org/abs/2106.01538)."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .constraints import balance, leads
from .multipliers import share_of_all, weight_of_norm
from .problem import Candidate, Presets, Problem
from .proximal import prox_l2, prox_linf
from .ranges import require

BETA_1, BETA_2 = 0.9, 0.999
"""Adam's."""
DECREASE = 0.1
"""To this share of itself the dual step falls."""


@dataclass(frozen=True)
class PDPGD:
    """Descend the constraints by proximal Adam, the norm by its proximal operator, and ascend a multiplier per pixel.

    Adapted to label maps as in adv-lib (Rony et al. 2023): every pixel has a multiplier, and a softmax over all of them
    and the norm says what weighs how much. Here φ weighs as much as `1 / outside` of the rest at first, and the
    proximal operator in Adam's metric is solved for instead of approached in five steps.

    Attributes:
        distance: the norm that is to be small.
        rate: first step of Adam, in levels.
        fall: share of itself that it falls to.
        dual_rate: first step of the multipliers' logarithms.
        average: share of the multipliers of the step before that is kept.
        ratio: first weight of all constraints of φ together, against 1 of the norm.
        aim: share of φ that is enough; beyond it, the smaller change is saved.
        outside: weight of all pixels outside φ together, against 1 of φ.
    """

    norm: ClassVar = "L2 or L∞"
    paper: ClassVar = "Matyasko and Chau 2021, arXiv:2106.01538"
    presets: ClassVar[Presets] = {}

    distance: Literal["l2", "linf"] = "l2"
    rate: float = 0.7
    fall: float = 0.01
    dual_rate: float = 0.1
    average: float = 0.9
    ratio: float = 1.0
    aim: float = 0.99
    outside: float = 1.0

    def __post_init__(self) -> None:
        require("pdpgd", self, levels=("rate",), shares=("fall", "aim"), positive=("dual_rate", "ratio"))
        require("pdpgd", self, kept=("average",), from_zero=("outside",))

    @property
    def radius(self) -> None:
        """No L-infinity budget."""
        return None

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        """Yield the clean image, then one image per primal step."""
        change, mean, square = (torch.zeros_like(problem.clean) for _ in range(3))
        weights = balance(problem, self.outside).expand(len(problem.networks), *problem.phi.shape)
        dual = (self.ratio * weights).log()
        shown = share_of_all(dual)
        for number in count():
            x = (problem.clean + change).requires_grad_()
            logits = problem.logits(x)
            lead = leads(problem, logits)
            yield Candidate(x, logits)
            if number:
                shown = torch.lerp(share_of_all(dual), shown, self.average)
            (gradient,) = torch.autograd.grad((shown * F.softplus(-lead)).sum(), x)
            mean = torch.lerp(gradient, mean, BETA_1) * problem.region[:, None]
            square = torch.lerp(gradient.square(), square, BETA_2)
            metric = (square / (1 - BETA_2 ** (number + 1))).sqrt() + 1e-8
            step = self.rate / 255 * self.fall ** (number / max(problem.steps, 1))
            moved = problem.confine(problem.clean + change - step / (1 - BETA_1 ** (number + 1)) * mean / metric)
            pull = step * weight_of_norm(shown)
            change = (
                problem.confine(problem.clean + self.shrunk(problem, moved - problem.clean, pull, metric))
                - problem.clean
            )
            rise = self.dual_rate * (DECREASE + (1 - DECREASE) * max(1 - number / max(problem.steps - 1, 1), 0))
            dual = dual - rise * lead.detach().sign()

    def shrunk(self, problem: Problem, change: Tensor, weight: Tensor, metric: Tensor) -> Tensor:
        """The proximal step."""
        if self.distance == "l2":
            return prox_l2(change, weight, metric)
        return prox_linf(change, weight, metric, -problem.clean, 1 - problem.clean)

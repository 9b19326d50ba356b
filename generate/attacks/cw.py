"""Carlini and Wagner's L2 attack for label maps (2017, https://arxiv.org/abs/1608.04644)."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from math import inf
from typing import ClassVar

import torch
from torch import Tensor

from .adam import Adam
from .constraints import hinge, leads, level, shares
from .problem import Candidate, Presets, Problem
from .ranges import require
from .tanh_images import anchor


@dataclass(frozen=True)
class CW:
    """Minimise ‖δ‖² + c f(x + δ) over w with x + δ = (tanh w + 1) / 2 by Adam, and search for the smallest c (Eq. 7).

    Adapted: f is their f6, what the lead of the desired class lacks to κ, summed over pixels with φ as heavy as the
    rest; an image succeeds when `aim` of φ does; ‖δ‖² is the mean square in levels, so that c means the same for images
    of any size. The binary search over c begins each round from the image of the last one, not from the clean image:
    they take 10,000 gradients a round, and few are affordable here.

    Attributes:
        rate: Adam's learning rate for w.
        const: first c, in squared levels per logit.
        rounds: how many values of c share the steps.
        kappa: confidence κ in logits.
        aim: share of φ with which an image succeeds.
        outside: weight of all pixels outside φ together, against 1 of φ.
    """

    norm: ClassVar = "L2"
    paper: ClassVar = "Carlini and Wagner 2017, arXiv:1608.04644"
    presets: ClassVar[Presets] = {}

    rate: float = 0.004
    const: float = 1.0
    rounds: int = 5
    kappa: float = 0.5
    aim: float = 0.99
    outside: float = 1.0

    def __post_init__(self) -> None:
        require(
            "cw", self, positive=("rate", "const"), counts=("rounds",), shares=("aim",), from_zero=("kappa", "outside")
        )

    @property
    def radius(self) -> None:
        """No L-infinity budget."""
        return None

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        """Yield the clean image, then one image per step of Adam."""
        start = anchor(problem.clean)
        w = torch.zeros_like(start).requires_grad_()
        optimiser = Adam([w], self.rate, fused=True)
        search = Search(torch.full_like(problem.clean[:, 0, 0, 0], self.const))
        length = max(problem.steps // self.rounds, 1)
        for number in count(1):
            x = problem.confine(problem.clean + (torch.tanh(start + w) - torch.tanh(start)) / 2)
            logits = problem.logits(x)
            lead = leads(problem, logits)
            yield Candidate(x, logits)
            square = ((x - problem.clean) / level(problem)).square().flatten(1).sum(1)
            loss = square + search.const * hinge(problem, lead, self.kappa, self.outside)
            optimiser.step(torch.autograd.grad(loss.sum(), w))
            search.saw(shares(problem, lead.detach()) >= self.aim)
            if number % length == 0:
                search.next_round()


class Search:
    """The binary search of each image for the smallest c with which it succeeds: ten times as much until one does."""

    def __init__(self, const: Tensor) -> None:
        self.const, self.low, self.high = const, torch.zeros_like(const), torch.full_like(const, inf)
        self.succeeded = torch.zeros_like(const, dtype=torch.bool)

    def saw(self, won: Tensor) -> None:
        """Note which images (N,) succeed with the present c."""
        self.succeeded = self.succeeded | won

    def next_round(self) -> None:
        """Go on with the next c."""
        self.high = torch.where(self.succeeded, torch.minimum(self.high, self.const), self.high)
        self.low = torch.where(self.succeeded, self.low, torch.maximum(self.low, self.const))
        self.const = torch.where(self.high.isinf(), 10 * self.const, (self.low + self.high.clamp(max=1e30)) / 2)
        self.succeeded = torch.zeros_like(self.succeeded)

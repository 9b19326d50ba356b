"""A few pixels by a saliency map (JSMA, Papernot et al. 2016, https://arxiv.org/abs/1511.07528)."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, inf
from typing import ClassVar

import torch
from torch import Tensor

from .constraints import hinge, leads
from .problem import Candidate, Presets, Problem
from .ranges import require


@dataclass(frozen=True)
class JSMA:
    """Change few pixels by much: in each step those that bring the goal nearest.

    Adapted: the saliency map of Eq. 8 needs the gradient of every class; a label map has one per pixel of each, so the
    map here is that of one number, what the leads of all pixels lack, by its gradient times the way that a channel has
    left to go. A step changes a share of the pixels, all channels of each, where the paper changes one or two features.

    Attributes:
        share: of the pixels that may change, how many do in each step; at least one.
        change: by which each channel of them moves at most, in levels (θ); 255 goes to the end.
        kappa: lead in logits from which a pixel no longer pulls.
        aim: share of φ that is enough; beyond it, the smaller change is saved.
        outside: weight of all pixels outside φ together, against 1 of φ.
    """

    norm: ClassVar = "L0"
    paper: ClassVar = "Papernot et al. 2016, arXiv:1511.07528"
    presets: ClassVar[Presets] = {}

    share: float = 0.001
    change: float = 255.0
    kappa: float = 1.0
    aim: float = 0.99
    outside: float = 1.0

    def __post_init__(self) -> None:
        require("jsma", self, shares=("share", "aim"), levels=("change",), from_zero=("kappa", "outside"))

    @property
    def radius(self) -> None:
        """No L-infinity budget."""
        return None

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        """Yield the clean image, then one image per step, with some more pixels changed."""
        x = problem.clean
        counts = [ceil(self.share * int(region.sum())) for region in problem.region]
        while True:
            x = x.detach().requires_grad_()
            logits = problem.logits(x)
            loss = hinge(problem, leads(problem, logits), self.kappa, self.outside)
            yield Candidate(x, logits)
            (gradient,) = torch.autograd.grad(loss.sum(), x)
            moved = (x - self.change / 255 * gradient.sign()).clamp(0, 1).detach()
            gain = ((x - moved) * gradient).detach().sum(1).masked_fill(~problem.region, -inf)
            x = torch.where(most(gain, counts)[:, None], moved, x)


def most(gain: Tensor, counts: list[int]) -> Tensor:
    """(N, H, W) bool, per image its `counts` pixels with the largest gain; none whose gain is not above 0."""
    chosen = torch.zeros_like(gain, dtype=torch.bool)
    for number, count in enumerate(counts):
        chosen[number].view(-1)[gain[number].flatten().topk(count).indices] = True
    return chosen & (gain > 0)

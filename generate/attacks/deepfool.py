"""DeepFool for label maps (Moosavi-Dezfooli et al. 2016, https://arxiv.org/abs/1511.04599)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from .constraints import balance, leads, level, norms, per_image
from .problem import Candidate, Presets, Problem
from .ranges import require


@dataclass(frozen=True)
class DeepFool:
    """Linearise the network and step to where every pixel reaches its goal, again and again.

    Adapted: an image has one boundary and DeepFool projects on it (Eq. 6, 8); a label map has one per pixel. With h the
    logits that a pixel lacks, L = ½ Σ h² over the pixels is 0 beyond all boundaries, and the step to the zero of its
    linearised root is r = -2 L ∇L / ‖∇L‖². Where every pixel has weights of its own and of equal norm, that is the
    projection of each on its own boundary, and for a single pixel DeepFool's own step. The nearest boundary of an
    untargeted pixel is taken to be that to the accepted class with the largest logit, which saves a gradient per class.
    Where pixels share weights the step may be far too long, so it has a longest length.

    Attributes:
        distance: which norm of the step is the smallest, that of Eq. 8 (`l2`) or Eq. 11 (`linf`).
        overshoot: by which a step is longer (η).
        longest: root mean square of the longest step, in levels.
        kappa: lead in logits that pixels are to have.
        aim: share of φ that is enough; beyond it, the smaller change is saved.
        outside: weight of all pixels outside φ together, against 1 of φ.
    """

    norm: ClassVar = "L2 or L∞"
    paper: ClassVar = "Moosavi-Dezfooli et al. 2016, arXiv:1511.04599"
    presets: ClassVar[Presets] = {}

    distance: Literal["l2", "linf"] = "l2"
    overshoot: float = 0.02
    longest: float = 0.1
    kappa: float = 0.1
    aim: float = 0.99
    outside: float = 1.0

    def __post_init__(self) -> None:
        require("deepfool", self, levels=("longest",), shares=("aim",), from_zero=("overshoot", "kappa", "outside"))

    @property
    def radius(self) -> None:
        """No L-infinity budget."""
        return None

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        """Yield the clean image, then one image per linearisation."""
        weights = balance(problem, self.outside)
        x = problem.clean
        while True:
            x = x.detach().requires_grad_()
            logits = problem.logits(x)
            lacking = (self.kappa - leads(problem, logits)).clamp(min=0)
            yield Candidate(x, logits)
            loss = (weights * lacking.square()).flatten(2).sum((0, 2)) / 2
            (gradient,) = torch.autograd.grad(loss.sum(), x)
            gradient = gradient * problem.region[:, None]
            step = (1 + self.overshoot) * self.projection(2 * per_image(loss.detach()), gradient)
            step = step * (self.longest * level(problem) / norms(step)).clamp(max=1)
            x = problem.confine(x - step)

    def projection(self, value: Tensor, gradient: Tensor) -> Tensor:
        """(N, 3, H, W) smallest step along which a linear function falls by `value` (N, 1, 1, 1)."""
        if self.distance == "linf":
            return value / norms(gradient, 1) * gradient.sign()
        return value / norms(gradient).square() * gradient

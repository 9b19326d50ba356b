"""Projected gradient descent (Madry et al. 2018, https://arxiv.org/abs/1706.06083), and what makes it stronger."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from segeval.files.sets import Setting

from .descent import SignedDescent
from .pixel_losses import Loss
from .problem import Presets
from .starts import Start

PAPER: Mapping[str, Setting] = {
    "first_step": 0.25,
    "last_step": None,
    "momentum": 0.0,
    "start": "random",
    "loss": "ce",
}


@dataclass(frozen=True)
class PGD(SignedDescent):
    """Signed steps with momentum that fall from twice the budget to a twentieth; pixels far from the goal count most.

    `paper` is as published: steps of a quarter of the budget, no momentum, plain cross entropy, a random start.
    """

    norm: ClassVar = "L∞"
    paper: ClassVar = "Madry et al. 2018, arXiv:1706.06083"
    presets: ClassVar[Presets] = {("paper", "local"): PAPER, ("paper", "full"): PAPER}
    own_loss: ClassVar = ("loss",)

    first_step: float = 2.0
    last_step: float | None = 0.05
    momentum: float = 0.75
    start: Start = "clean"
    loss: Loss = "cosine"

"""SegPGD (Gu et al. 2022, https://arxiv.org/abs/2207.12391): pixels that are not reached yet come first."""

from dataclasses import dataclass
from typing import ClassVar

from .descent import SignedDescent
from .pixel_losses import Loss
from .problem import Presets


@dataclass(frozen=True)
class SegPGD(SignedDescent):
    """PGD whose weight of pixels that are reached grows from 0 to ½ (Eq. 4 and 5 there)."""

    norm: ClassVar = "L∞"
    paper: ClassVar = "Gu et al. 2022, arXiv:2207.12391"
    presets: ClassVar[Presets] = {}
    own_loss: ClassVar = ("loss",)

    loss: Loss = "segpgd"

"""CosPGD (Agnihotri et al. 2024, https://arxiv.org/abs/2302.02213): pixels count by how far they are from the goal."""

from dataclasses import dataclass
from typing import ClassVar

from .descent import SignedDescent
from .pixel_losses import Loss
from .problem import Presets


@dataclass(frozen=True)
class CosPGD(SignedDescent):
    """PGD weighted by the cosine between probabilities and label (Eq. 8 there untargeted, Eq. 10 targeted)."""

    norm: ClassVar = "L∞"
    paper: ClassVar = "Agnihotri et al. 2024, arXiv:2302.02213"
    presets: ClassVar[Presets] = {}
    own_loss: ClassVar = ("loss",)

    loss: Loss = "cosine"

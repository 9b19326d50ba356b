"""Projected gradient descent (Madry et al. 2018, https://arxiv.org/abs/1706.06083)."""

from dataclasses import dataclass
from typing import ClassVar

from .descent import SignedDescent
from .problem import Presets


@dataclass(frozen=True)
class PGD(SignedDescent):
    """Signed steps from a random image of the budget, in the whole image or in φ."""

    presets: ClassVar[Presets] = {}
    own_loss: ClassVar = ("loss",)

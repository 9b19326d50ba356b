"""A patch somewhere in the image (Brown et al. 2017, https://arxiv.org/abs/1712.09665)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from segeval.errors import ConfigurationError

from .patch_places import blocked, drawn, place
from .pixel_losses import Loss
from .problem import Problem, generator
from .ranges import require

PLACES = 2000
"""Stream of an image's random numbers that the place, scale and light of a patch are drawn from."""


@dataclass(frozen=True)
class Patch:
    """A square picture that lies anywhere, at varying scale and light: an expectation over all of these is descended.

    It lies beside φ where it can, so that it has to work from afar; a goal that φ is the whole image of has no beside.
    For segmentation see Nesti et al. 2022, arXiv:2108.06179.

    Attributes:
        side: of the patch, as a share of the image's height.
        texture: pixels of its own side.
        scale: largest relative change of its side.
        light: largest relative change of its brightness.
        region: names of classes, separated by commas, on which the victims' clean prediction has it lie where it can;
            empty for anywhere.
        loss: what is descended, see `pixel_losses`.
        outside: weight of all pixels outside φ together, against 1 for φ.
        first_step: change of the first step, in levels.
        last_step: of the last one; steps between fall evenly.
    """

    radius: ClassVar = None

    side: float = 0.25
    texture: int = 96
    scale: float = 0.2
    light: float = 0.2
    region: str = ""
    loss: Loss = "cosine"
    outside: float = 1.0
    first_step: float = 16.0
    last_step: float = 1.0

    def __post_init__(self) -> None:
        if not (0 < self.side * (1 + self.scale) <= 1 and 0 <= self.scale < 1 and 0 <= self.light < 1):
            raise ConfigurationError(
                f"patch: side={self.side:g}, scale={self.scale:g}, light={self.light:g}",
                "scale and light are 0 or above and below 1; the largest side is at most the image's height",
            )
        if not 4 <= self.texture <= 1024:
            raise ConfigurationError(f"patch: texture={self.texture}", "4 to 1024 pixels")
        require("patch", self, from_zero=("outside",))

    def start(self, height: int, width: int) -> Tensor:
        """(3, T, T) grey."""
        return torch.full((3, self.texture, self.texture), 0.5)

    def moved(self, values: Tensor, direction: Tensor, between: float) -> Tensor:
        """The texture after a signed step.

        Args:
            values: (3, T, T) in [0, 1].
            direction: (3, T, T) -1, 0 or 1, against which it goes.
            between: 0 for the first step, 1 for the last.
        """
        size = (self.first_step + between * (self.last_step - self.first_step)) / 255
        return (values - size * direction).clamp(0, 1)

    def applied(self, values: Tensor, problem: Problem, region: tuple[int, ...] = ()) -> Tensor:
        """(N, 3, H, W) the images with the patch, each at a place, scale and light of its own.

        Args:
            values: (3, T, T) the texture in [0, 1].
            problem: with the images.
            region: indices of the classes of `region`.
        """
        found = []
        for number, seed in enumerate(problem.seeds):
            draw = generator(seed, PLACES)
            clean = problem.clean[number]
            side = max(1, min(round(self.side * drawn(self.scale, draw) * clean.shape[1]), *clean.shape[1:]))
            shown = F.interpolate(values[None], (side, side), mode="bilinear", align_corners=False, antialias=True)[0]
            shown = (shown * drawn(self.light, draw)).clamp(0, 1)
            top, left = place(side, blocked(problem, number, region), draw)
            room = (left, clean.shape[2] - left - side, top, clean.shape[1] - top - side)
            inside = F.pad(torch.ones_like(shown[:1]), room).bool()
            found.append(torch.where(inside, F.pad(shown, room), clean))
        return torch.stack(found)

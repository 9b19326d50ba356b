"""FSPGD (2025, https://arxiv.org/abs/2502.01262): features inside the network instead of its answer.

Published to transfer, untargeted, changing the whole image. Adapted here:

* Pairs of positions that are to lose their similarity are those of one class of the clean prediction, so that the cost
  grows with the number of positions. The authors' code takes pairs whose clean features have a cosine above ½, one by
  one, and does not normalise the attacked features there.
* φ and the rest are balanced as in other attacks.
* Class goals pull the features to those of the wanted class, where the image has it.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from segeval.errors import ConfigurationError
from segeval.models import Segmenter

from .descent import Objective, SignedSteps, of_pixels
from .feature_similarity import Similarity
from .features import convolution_at, with_features
from .problem import Presets, Problem


@dataclass(frozen=True)
class FSPGD(SignedSteps):
    """Signed steps on features: those of φ lose their similarity first to each other, then to the clean ones.

    A class goal whose class is in the image pulls them to the mean direction of its features instead. On the whole
    image the features of the rest are to stay, which weighs as much as φ.

    Attributes:
        layer: which convolution, as a share of their order, from 0 to 1. None takes the middle one, and the last one
            for class goals: pulled together in the middle, few pixels become that class.
    """

    norm: ClassVar = "L∞"
    paper: ClassVar = "FSPGD 2025, arXiv:2502.01262"
    presets: ClassVar[Presets] = {}
    own_loss: ClassVar = ("layer",)

    layer: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layer is not None and not 0 <= self.layer <= 1:
            raise ConfigurationError(f"fspgd: layer={self.layer:g}", "0 is the first convolution, 1 the last")

    def require(self, network: Segmenter) -> None:
        """Raise ConfigurationError for a network none of whose convolutions can be seen."""
        convolution_at(network, torch.zeros(1, 3, *network.spec.size).to(network.mean), 0)

    def objective(self, problem: Problem) -> Objective:
        """Similarities summed up over the networks; the evasive loss where one is unaware."""
        if any(problem.unaware):
            return of_pixels(problem, "ce")
        depth = self.layer if self.layer is not None else 0.5 if problem.goal.target is None else 1.0
        clean = problem.seen(problem.clean)
        watched = [(network, convolution_at(network, clean[:1], depth)) for network in problem.networks]
        with torch.no_grad():
            similarities = [
                Similarity(problem, with_features(network, clean, number)[1]) for network, number in watched
            ]

        def found(x: Tensor, progress: float) -> tuple[tuple[Tensor, ...], Tensor]:
            seen = problem.seen(x)[problem.left]
            shown = [tuple(map(problem.filled, with_features(network, seen, number))) for network, number in watched]
            losses = [each.loss(features, progress) for each, (_, features) in zip(similarities, shown, strict=True)]
            return tuple(logits for logits, _ in shown), torch.stack(losses).sum(0)

        return found

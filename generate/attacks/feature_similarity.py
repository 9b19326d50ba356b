"""How alike features are, before and after an attack: the two losses of FSPGD, and one for class goals."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .constraints import balance
from .problem import Problem


class Similarity:
    """Cosines between features (N, D, h, w) of length 1, those of the clean image, and each other."""

    def __init__(self, problem: Problem, clean: Tensor) -> None:
        """clean: (N, D, h, w) of the clean image; its positions take shares of the pixels of `problem` around."""
        weights, phi, goal = balance(problem, 1.0), problem.phi, problem.goal

        def cells(pixels: Tensor) -> Tensor:
            return F.adaptive_avg_pool2d(pixels.to(clean), (clean.shape[2], clean.shape[3])).flatten(2)

        self.clean = clean.flatten(2)  # (N, D, P)
        inside, outside = cells(torch.stack([weights * phi, weights * ~phi], 1)).chunk(2, 1)
        total = inside.sum(2, keepdim=True)
        self.inside, self.outside = inside / total, outside / total
        classes = F.one_hot(problem.predicted).movedim(3, 1)
        self.members = cells(classes * phi[:, None])  # (N, K, P) share of a class in a position
        self.alone = self.members.square().sum((1, 2))
        self.pairs = (self.members.sum(2).square().sum(1) - self.alone).clamp(min=1)
        wanted = cells((problem.predicted == (-1 if goal.target is None else goal.target))[:, None])
        self.present = wanted.sum((1, 2)) > 0
        self.wanted = F.normalize((self.clean * wanted).sum(2, keepdim=True), dim=1)  # (N, D, 1)

    def loss(self, features: Tensor, progress: float) -> Tensor:
        """(N,) mean similarity of φ to what it is to lose, minus that to what it is to be.

        Args:
            features: (N, D, h, w) of the attacked image.
            progress: λ, share of the steps that is done.
        """
        now = features.flatten(2)
        to_clean = (now * self.clean).sum(1, keepdim=True)
        external = (self.inside * to_clean).sum((1, 2))
        # Σ over pairs of w_i w_j f_i·f_j is the squared length of Σ w_i f_i, without each with itself.
        internal = ((now @ self.members.mT).square().sum((1, 2)) - self.alone) / self.pairs
        away = progress * external + (1 - progress) * internal
        to_wanted = (self.inside * (now * self.wanted).sum(1, keepdim=True)).sum((1, 2))
        inside: Tensor = torch.where(self.present, -to_wanted, away)
        return inside - (self.outside * to_clean).sum((1, 2))

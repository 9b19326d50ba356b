"""Whether attacks take adv-lib's steps, on a small network in double precision.

    .venv-peers/bin/python -m benchmarks.peers.trajectories

Prints per attack the largest difference between iterates, in levels, and the numbers that
tests/generate/attacks/test_minimal.py expects: per image the sum of a change times numbers from -1 to 1.

adv-lib attacks φ alone (`outside=0` here). ALMA's penalty is given to it: the gradient of adv-lib's own is not the
penalty's derivative, above 0 it has μ y where that has μ. Its proximal steps are iterated until they stand still.
"""

from collections.abc import Mapping
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segeval.generate.attacks.problem import Problem
from segeval.generate.attacks.specs import build_attack
from segeval.goals import Goal

from .adv_lib_peers import peers

CLASSES, STEPS = 19, 40
TOLD = (1, 10, 20, 39)
NEVER = 1.1
"""A share of pixels that is not reached, so that no attack stops."""


def penalty(y: Tensor, rho: Tensor, mu: Tensor) -> Tensor:
    """P2 of ALMA prox, with the gradient that it has."""
    above = mu * y + mu * rho * y.square() + rho.square() * y**3 / 6
    return torch.where(y >= 0, above, mu * y / (1 - rho.clamp(min=1) * y.clamp(max=0)))


SAME: Mapping[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "dag": ("dag", {"step": 0.765}, {"γ": 0.003, "adv_threshold": NEVER}),
    "alma-prox": ("alma-prox", {"rate": 0.255, "tolerance": 0.0}, {"penalty": penalty, "logit_tolerance": 0.0}),
    "pdpgd/l2": ("pdpgd-l2", {"rate": 2.55}, {"primal_lr": 0.01}),
    "pdpgd/linf": ("pdpgd-linf", {"rate": 2.55, "distance": "linf"}, {"primal_lr": 0.01}),
}
"""Per name: adv-lib's attack, our settings, its settings."""


def made() -> Problem:
    """Two grey images with noise, of which the four most common classes are to become the fifth."""
    rng = np.random.default_rng(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, CLASSES, 3, padding=1))
    for parameter in network.parameters():
        parameter.data = torch.from_numpy(rng.standard_normal(parameter.shape))
    clean = torch.from_numpy(0.3 + 0.4 * rng.random((2, 3, 16, 24)))
    predicted = network.requires_grad_(False)(clean).argmax(1)
    target, *sources = torch.bincount(predicted.flatten()).argsort(descending=True)[:5].tolist()
    phi = torch.isin(predicted, torch.tensor(sources))
    return Problem(clean, predicted, phi, Goal(tuple(sources), target), "full", (network,), (1, 2), STEPS)  # type: ignore[arg-type]


class Shown(nn.Module):
    """A network that keeps what it is shown."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network, self.images = network, list[Tensor]()

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images."""
        self.images.append(images.detach().clone())
        logits: Tensor = self.network(images)
        return logits


def main() -> None:
    """Compare and print."""
    problem = made()
    probe = torch.linspace(-1, 1, problem.clean[0].numel(), dtype=torch.float64).view_as(problem.clean[0])
    for name, (peer, own, theirs) in SAME.items():
        if peer.startswith("pdpgd"):
            theirs = {**theirs, "proximal_steps": 2000, "ε_threshold": 1e-12}
        attack = build_attack(name.partition("/")[0], "default", "full", {**own, "outside": 0.0})
        ours = [each.images.detach() for each in islice(attack.candidates(problem), STEPS)]
        shown = Shown(problem.networks[0])
        desired = torch.where(problem.phi, problem.goal.target or 0, problem.predicted)
        partial(peers()[peer], **theirs)(shown, problem.clean, desired, problem.phi, STEPS)
        apart = [float((a - b).abs().max()) * 255 for a, b in zip(ours, shown.images, strict=True)]
        size = float((ours[-1] - problem.clean).abs().max()) * 255
        print(f"# {name}: at most {max(apart):.2g} levels apart, first {apart[1]:.2g}, of a change of {size:.3g}")
        for step in TOLD:
            sums = ((shown.images[step] - problem.clean) * probe).flatten(1).sum(1).tolist()
            print(f'    ("{name}", {step}): ({sums[0]:.9f}, {sums[1]:.9f}),')


if __name__ == "__main__":
    main()

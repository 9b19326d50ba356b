"""Whether attacks take the steps of adv-lib and torchattacks, on a small network in double precision.

    .venv-peers/bin/python -m benchmarks.peers.trajectories

Prints per attack the largest difference between iterates, in levels, and the numbers that
tests/generate/attacks/test_minimal.py expects: per image the sum of a change times numbers from -1 to 1.

adv-lib attacks φ alone (`outside=0` here). ALMA's penalty is given to it: the gradient of adv-lib's own is not the
penalty's derivative, above 0 it has μ y where that has μ. Its proximal steps are iterated until they stand still.

torchattacks classifies images. Its cross entropy is that of PyTorch, which takes a label per pixel as well, so that the
network is given to it as it is. Both begin at the clean image: random starts are drawn otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segeval.generate.attacks.problem import Problem
from segeval.generate.attacks.specs import build_attack
from segeval.goals import Goal

from . import adv_lib_peers, torchattacks_peers

CLASSES, STEPS = 19, 40
TOLD = (1, 10, 20, 39)
NEVER = 1.1
"""A share of pixels that is not reached, so that no attack stops."""


def penalty(y: Tensor, rho: Tensor, mu: Tensor) -> Tensor:
    """P2 of ALMA prox, with the gradient that it has."""
    above = mu * y + mu * rho * y.square() + rho.square() * y**3 / 6
    return torch.where(y >= 0, above, mu * y / (1 - rho.clamp(min=1) * y.clamp(max=0)))


@dataclass(frozen=True)
class Same:
    """What is to take the same steps.

    Attributes:
        peer: the other library's attack.
        own: our settings.
        theirs: its settings.
        preset: ours.
        untargeted: whether every pixel is to become anything else, instead of the task of `made`.
    """

    peer: str
    own: Mapping[str, Any]
    theirs: Mapping[str, Any] = field(default_factory=dict)
    preset: str = "default"
    untargeted: bool = False


EXACT = {"proximal_steps": 2000, "ε_threshold": 1e-12}
LEVELS = {"eps": 8 / 255, "alpha": 2 / 255}
PAPER = {"budget": 8.0, "start": "clean"}
SAME: Mapping[str, Same] = {
    "dag": Same("dag", {"step": 0.765, "outside": 0.0}, {"γ": 0.003, "adv_threshold": NEVER}),
    "alma-prox": Same(
        "alma-prox",
        {"rate": 0.255, "tolerance": 0.0, "outside": 0.0},
        {"penalty": penalty, "logit_tolerance": 0.0},
    ),
    "pdpgd/l2": Same("pdpgd-l2", {"rate": 2.55, "outside": 0.0}, {"primal_lr": 0.01, **EXACT}),
    "pdpgd/linf": Same("pdpgd-linf", {"rate": 2.55, "distance": "linf", "outside": 0.0}, {"primal_lr": 0.01, **EXACT}),
    "pgd/paper": Same("PGD", PAPER, {**LEVELS, "random_start": False}, "paper"),
    "pgd/untargeted": Same(
        "PGD", PAPER, {**LEVELS, "random_start": False, "targeted": False}, "paper", untargeted=True
    ),
    "pgd/momentum": Same("MIFGSM", {**PAPER, "momentum": 0.75}, {**LEVELS, "decay": 0.75}, "paper"),
}


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
    task, peers = made(), {**adv_lib_peers.peers(), **torchattacks_peers.peers()}
    probe = torch.linspace(-1, 1, task.clean[0].numel(), dtype=torch.float64).view_as(task.clean[0])
    everything = replace(task, goal=Goal(tuple(range(CLASSES)), None, "wrong"), phi=torch.ones_like(task.phi))
    for name, same in SAME.items():
        problem = everything if same.untargeted else task
        attack = build_attack(name.partition("/")[0], same.preset, "full", same.own)
        ours = [each.images.detach() for each in islice(attack.candidates(problem), STEPS)]
        shown = Shown(problem.networks[0])
        desired = problem.predicted
        if not same.untargeted:
            desired = torch.where(problem.phi, problem.goal.target or 0, desired)
        partial(peers[same.peer], **same.theirs)(shown, problem.clean, desired, problem.phi, STEPS)
        apart = [float((a - b).abs().max()) * 255 for a, b in zip(ours, shown.images, strict=True)]
        size = float((ours[-1] - problem.clean).abs().max()) * 255
        print(f"# {name}: at most {max(apart):.2g} levels apart, first {apart[1]:.2g}, of a change of {size:.3g}")
        for step in TOLD:
            sums = ((shown.images[step] - problem.clean) * probe).flatten(1).sum(1).tolist()
            print(f'    ("{name}", {step}): ({sums[0]:.9f}, {sums[1]:.9f}),')


if __name__ == "__main__":
    main()

"""Attacks against the code of their authors: the same steps on the same small network.

The numbers come from ``rse`` (https://github.com/szegedai/Robust-Segmentation-Evaluation, commit 3e0d1fb), which has
the APGD of SEA's authors: `apgd_train` with 40 steps, `track_loss="ce-avg"` and no random start, and `padam` without a
random start, on one image at a time since its Adam sees the whole batch.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segeval.generate.attacks.apgd import APGD
from segeval.generate.attacks.padam import PAdam
from segeval.generate.attacks.problem import Attack, Problem
from segeval.goals import Goal

CLASSES, STEPS, BUDGET = 19, 40, 8.0
AUTHORS: Mapping[tuple[str, str, int], tuple[float, float]] = {
    ("apgd", "masked", 1): (-0.015302848, 0.217979576),
    ("apgd", "masked", 8): (-0.258768244, 0.764296939),
    ("apgd", "masked", 9): (0.048178795, 0.229469886),
    ("apgd", "masked", 20): (0.177524327, 0.490783427),
    ("apgd", "masked", 40): (-0.014834124, 0.218178046),
    ("apgd", "jensen-shannon", 1): (0.238613143, 0.331262847),
    ("apgd", "jensen-shannon", 8): (0.091552055, 0.437647008),
    ("apgd", "jensen-shannon", 9): (0.095531053, 0.454977527),
    ("apgd", "jensen-shannon", 20): (0.095531053, 0.459440337),
    ("apgd", "jensen-shannon", 40): (0.095531053, 0.455040148),
    ("apgd", "segpgd", 1): (-0.015302848, 0.217979576),
    ("apgd", "segpgd", 8): (-0.218653089, 0.91732478),
    ("apgd", "segpgd", 9): (0.111674789, 0.36750815),
    ("apgd", "segpgd", 20): (-0.011683563, 0.342853183),
    ("apgd", "segpgd", 40): (0.013717394, 0.155134201),
    ("apgd", "masked-logit-cosine", 1): (-0.363472226, -0.575947996),
    ("apgd", "masked-logit-cosine", 8): (-0.287094156, -0.442544364),
    ("apgd", "masked-logit-cosine", 9): (-0.200887133, -0.593723288),
    ("apgd", "masked-logit-cosine", 20): (-0.042055932, -0.68251858),
    ("apgd", "masked-logit-cosine", 40): (-0.362786701, -0.576154944),
    ("padam", "ce", 1): (-0.017005254, 0.05535299),
    ("padam", "ce", 5): (0.1482017, 0.094442451),
    ("padam", "ce", 20): (0.296203718, 0.135578566),
    ("padam", "logit-cosine", 1): (-0.103121253, -0.157503291),
    ("padam", "logit-cosine", 5): (-0.370277823, -0.623593982),
    ("padam", "logit-cosine", 20): (-0.374684696, -0.65971181),
}
"""Per attack, loss and step, for each of two images the sum of its change times `probe`."""


def made() -> tuple[nn.Module, Tensor]:
    """The network and the images, in double precision."""
    rng = np.random.default_rng(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, CLASSES, 3, padding=1))
    for parameter in network.parameters():
        parameter.data = torch.from_numpy(rng.standard_normal(parameter.shape))
    return network.requires_grad_(False), torch.from_numpy(rng.random((2, 3, 16, 24)))


def attack_of(name: str, loss: Any) -> Attack:
    if name == "padam":
        return PAdam(budget=BUDGET, rate=2.0, start="clean", loss=loss)
    return APGD(budget=BUDGET, loss=loss, start="clean")


@pytest.mark.parametrize(("name", "loss"), sorted({key[:2] for key in AUTHORS}))
def test_steps_are_those_of_the_authors_code(name: str, loss: str) -> None:
    network, clean = made()
    predicted = network(clean).argmax(1)
    goal = Goal(tuple(range(CLASSES)), None, "wrong")
    whole = torch.ones_like(predicted, dtype=torch.bool)
    problem = Problem(clean, predicted, whole, goal, "full", (network,), (1, 2), STEPS)  # type: ignore[arg-type]
    probe = torch.linspace(-1, 1, clean[0].numel(), dtype=torch.float64).view_as(clean[0])
    path = [each.images.detach() for each in islice(attack_of(name, loss).candidates(problem), STEPS + 1)]
    for (*who, step), expected in AUTHORS.items():
        if who == [name, loss]:
            found = ((path[step] - clean) * probe).flatten(1).sum(1).tolist()
            # Their Adam adds 1e-8 to the root of the second moment, which is not much larger here.
            assert found == pytest.approx(expected, abs=2e-3 if name == "padam" else 1e-6), step

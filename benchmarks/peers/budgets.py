"""Untargeted attacks within a budget, segeval's and torchattacks', on the same images and by the same rules.

    make peers
    .venv-peers/bin/python -m benchmarks.peers.budgets --model fast-scnn-camvid pgd apgd torchattacks:PGD

Prints a row of docs/attacks-compared.md per attack, as soon as it is measured. Every attack takes as many gradients, on
the whole image. Of a peer's iterates, the best one is kept, whatever it returns, and rounded to nearest.
"""

from typing import Annotated

import numpy as np
import typer

from segeval.datasets import open_dataset
from segeval.files.sets import AttackSpec
from segeval.generate.attacks.specs import build_attack
from segeval.generate.crafting.driver import Outcome
from segeval.generate.crafting.setup import spread
from segeval.generate.numerics import prepare_torch
from segeval.metrics import ConfusionMatrix
from segeval.models import load_model
from segeval.models.soundness import predict
from segeval.places import dataset_root

from .smallest import Case, Watched, case, our_attack
from .torchattacks_peers import peers

PEER = "torchattacks:"


def crafted(name: str, one: Case, budget: float, steps: int) -> Outcome:
    """What an attack finds on one image within a budget in levels."""
    spec = AttackSpec("peer", "default", "full", steps, "best", None, budget, {})
    if not name.startswith(PEER):
        return our_attack(build_attack(name, "default", "full", {"budget": str(budget)}), one, spec)
    watched, epsilon = Watched(one, spec), budget / 255
    attack = peers()[name.removeprefix(PEER)]
    start, wrong = one.problem.clean, one.problem.predicted
    attack(watched, start, wrong, one.problem.phi, steps, targeted=False, eps=epsilon, alpha=epsilon / 4)
    return watched.outcome()


def main(
    attacks: Annotated[list[str], typer.Argument(help="Names, torchattacks:NAME for a peer's.")],
    model: Annotated[str, typer.Option()] = "fast-scnn-camvid",
    budget: Annotated[list[float], typer.Option(help="L-infinity radius in levels; repeatable.")] = [1.0],  # noqa: B006
    images: Annotated[int, typer.Option()] = 4,
    steps: Annotated[int, typer.Option()] = 20,
) -> None:
    """Measure attacks on some images of CamVid's test split."""
    prepare_torch()
    network, data = load_model(model), open_dataset("camvid", dataset_root(None), "test")
    cases = [case(network, data[index], index, steps, "untargeted") for index in spread(len(data), images)]
    for name in attacks:
        for radius in budget:
            matrix, largest = ConfusionMatrix(len(network.spec.table)), 0
            for one in cases:
                image = crafted(name, one, radius, steps).image
                largest = max(largest, int(np.abs(image.astype(int) - one.image).max()))
                assert one.truth is not None
                matrix.update(one.truth, predict(network, image))
            accuracy, miou = matrix.pixel_accuracy() or 0.0, matrix.mean_iou() or 0.0
            cells = f"{radius:g} | {steps} | {accuracy:.3f} / {miou:.3f} | {largest}"
            typer.echo(f"| {model} | `{name}` | {cells} |")


if __name__ == "__main__":
    typer.run(main)

"""Attacks that look for the smallest perturbation, segeval's and adv-lib's, on the same images and by the same rules.

    make peers
    .venv-peers/bin/python -m benchmarks.peers.smallest --model fast-scnn-camvid ddn dag adv-lib:dag

Prints a row of docs/attacks-compared.md per attack and network, as soon as it is measured. Every attack takes as many
gradients, on the whole image, vehicle to road. Peers are measured at every image that they show to the network, so
that what they return counts for nothing; their images are rounded to nearest, since they are no more than tensors.
"""

import time
from dataclasses import dataclass, replace
from statistics import mean, median
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor, nn

from segeval.classes import parse_task
from segeval.datasets import open_dataset
from segeval.datasets.dataset import Example
from segeval.files.sets import AttackSpec
from segeval.generate.attacks.problem import Attack, Candidate, Problem
from segeval.generate.attacks.specs import build_attack
from segeval.generate.crafting.driver import Kept, Outcome, Track, measure, outcome, run_attack
from segeval.generate.crafting.setup import spread
from segeval.generate.numerics import prepare_torch
from segeval.metrics import AttackMeter, Labels
from segeval.models import Segmenter, load_model
from segeval.models.soundness import predict
from segeval.places import dataset_root

from .adv_lib_peers import peers

LIMITS = (0.2, 0.3, 0.5, 0.7)
"""Mean changes in levels within which the best iterate is looked for."""
AIM = 0.99
"""Share of φ that is enough for peers too."""


@dataclass(frozen=True)
class Case:
    """One image of one network: the problem, the image (H, W, 3), what the network sees in it, ground truth, meter."""

    problem: Problem
    image: NDArray[np.uint8]
    labels: Labels
    truth: Labels | None
    meter: AttackMeter

    @property
    def network(self) -> Segmenter:
        """The network."""
        (network,) = self.problem.networks
        assert isinstance(network, Segmenter)
        return network


def case(network: Segmenter, example: Example, seed: int, steps: int, task: str = "vehicle-to-road") -> Case:
    """A task on the whole image."""
    image = example.image
    labels = predict(network, image)
    goal = parse_task(task).resolve(network.spec.table)
    problem = Problem(
        clean=torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255,
        predicted=torch.from_numpy(labels)[None].long(),
        phi=torch.from_numpy(goal.phi(labels))[None],
        goal=goal,
        scope="full",
        networks=(network,),
        seeds=(seed,),
        steps=steps,
    )
    return Case(problem, image, labels, example.labels, AttackMeter(goal.phi(labels), goal, None, labels))


class Watched(nn.Module):
    """The network as a peer sees it, which measures every image that it is shown. It knows how long its passes take."""

    def __init__(self, case: Case, spec: AttackSpec) -> None:
        super().__init__()
        self.case, self.spec, self.steps = case, spec, 0
        self.track = Track(case.meter, case.image, np.zeros(1, np.float32), [Kept(spec, None, aim=AIM)])
        self.measuring = 0.0

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, C, H, W)."""
        logits: Tensor = self.case.network(images)
        started = time.process_time()
        measure([self.track], Candidate(images, (logits,)), self.steps, self.spec, ["network"], self.case.problem)
        self.steps += 1
        self.measuring += time.process_time() - started
        return logits

    def outcome(self) -> Outcome:
        """What would be saved of the best image that was shown."""
        return outcome(self.track, self.track.kept[0])


def our_attack(attack: Attack, one: Case, spec: AttackSpec) -> Outcome:
    """What one of segeval's attacks saves of an image."""
    spec, problem = replace(spec, dithered=True), replace(one.problem, dithered=True)
    names, limits = ["network"], [[None]]
    ((found,),) = run_attack(attack, [spec], problem, names, [one.meter], [one.image], limits, lambda step: None)
    return found


def crafted(name: str, one: Case, spec: AttackSpec) -> tuple[Outcome, float]:
    """What an attack saves of an image, and the CPU seconds of one of its gradients."""
    known, started = peers(), time.process_time()
    if not name.startswith("adv-lib:"):
        attack = build_attack(name.partition("/")[0], "default", "full", settings_of(name))
        return our_attack(attack, one, spec), (time.process_time() - started) / spec.steps
    watched, problem = Watched(one, spec), one.problem
    name, _, region = name.removeprefix("adv-lib:").partition("/")
    assert problem.goal.target is not None
    desired = torch.where(problem.phi, problem.goal.target, problem.predicted)
    masks = problem.phi if region == "phi" else torch.ones_like(problem.phi)
    known[name](watched, problem.clean, desired, masks, spec.steps)
    spent = time.process_time() - started - watched.measuring
    return watched.outcome(), spent / max(watched.steps, 1)


def settings_of(name: str) -> dict[str, str]:
    """Settings behind an attack's name, as in ``pdpgd/distance=linf``."""
    return {key: value for key, _, value in (each.partition("=") for each in name.split("/")[1:])}


def floor(one: Case) -> float:
    """CPU seconds of a bare forward and backward pass."""

    def once() -> float:
        started = time.process_time()
        images = one.problem.clean.clone().requires_grad_()
        torch.autograd.grad(one.problem.loss(one.problem.logits(images)).sum(), images)
        return time.process_time() - started

    return median(once() for _ in range(3))


def row(name: str, one: Case, spec: AttackSpec) -> list[float]:
    """Success of the float image and of the saved one, collateral, mean, L-infinity, cost, success within limits."""
    bare = floor(one)
    found, seconds = crafted(name, one, spec)
    seen, goal, phi = predict(one.network, found.image), one.problem.goal, one.meter.phi
    change = np.abs(found.image.astype(int) - one.image)
    reached = [step.counts["network"].success or 0.0 for step in found.curve]
    within = [
        max((won for won, step in zip(reached, found.curve, strict=True) if step.mean <= limit), default=0.0)
        for limit in LIMITS
    ]
    saved = float(goal.reached(seen[phi], one.labels[phi]).mean())
    collateral = float((seen != one.labels)[~phi].mean())
    return [reached[found.step], saved, collateral, change.mean(), change.max(), seconds / bare, *within]


def main(
    attacks: Annotated[list[str], typer.Argument(help="Names, adv-lib:NAME for a peer's, with /phi on φ alone.")],
    model: Annotated[str, typer.Option()] = "fast-scnn-camvid",
    images: Annotated[int, typer.Option()] = 3,
    steps: Annotated[int, typer.Option()] = 50,
) -> None:
    """Measure attacks on some images of CamVid's test split."""
    prepare_torch()
    network, data = load_model(model), open_dataset("camvid", dataset_root(None), "test")
    spec = AttackSpec("peer", "default", "full", steps, "best", None, None, {})
    chosen = spread(len(data), images)
    for name in attacks:
        measured = [row(name, case(network, data[index], index, steps), spec) for index in chosen]
        cells = [mean(values) for values in zip(*measured, strict=True)]
        first, saved, collateral, change, largest, cost, *within = cells
        typer.echo(
            f"| {model} | `{name}` | {first:.3f} → {saved:.3f} | {collateral:.3f} | {change:.2f} | {largest:.1f} "
            f"| {cost:.2f} | {' | '.join(f'{won:.2f}' for won in within)} |"
        )


if __name__ == "__main__":
    typer.run(main)

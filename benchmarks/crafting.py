"""What crafting costs beside its floor: a bare forward and backward pass of the victim, in the same process.

    python benchmarks/crafting.py --model espnet-synthetic --steps 20

Prints, per attack and scope, seconds per step and their ratio to the floor. Both are measured alternately, and the
medians compared, since other work on the machine would otherwise decide the ratio.
"""

import time
from statistics import median
from typing import Annotated

import numpy as np
import torch
import typer

from segeval.datasets import open_dataset
from segeval.files.sets import CraftConfig
from segeval.generate.attacks.problem import Problem
from segeval.generate.attacks.specs import resolve
from segeval.generate.crafting.driver import run_attack
from segeval.generate.numerics import prepare_torch
from segeval.goals import Goal
from segeval.metrics import AttackMeter
from segeval.models import load_model
from segeval.models.soundness import predict

ROUNDS = 5


def floor(problem: Problem) -> float:
    """Seconds of one forward and backward pass to the image."""
    started = time.perf_counter()
    images = problem.clean.clone().requires_grad_()
    loss = problem.loss(problem.logits(images)).sum()
    torch.autograd.grad(loss, images)
    return time.perf_counter() - started


def main(
    model: Annotated[str, typer.Option()] = "espnet-synthetic",
    dataset: Annotated[str, typer.Option()] = "synthetic",
    steps: Annotated[int, typer.Option()] = 20,
) -> None:
    """Measure every attack and scope on one image."""
    prepare_torch()
    segmenter = load_model(model)
    example = open_dataset(dataset)[0]
    labels = predict(segmenter, example.image)
    counts = np.bincount(labels.ravel())
    source, target = int(counts.argmax()), int((counts.argmax() + 1) % len(segmenter.spec.table))
    goal = Goal((source,), target)
    phi = goal.phi(labels)
    config = CraftConfig(dataset, (model,), attacks=("fgsm", "tanh"), steps=steps)
    for trajectory in resolve(config):
        attack, spec = trajectory.attack, trajectory.specs[0]
        problem = Problem(
            clean=torch.from_numpy(example.image).permute(2, 0, 1)[None].float() / 255,
            predicted=torch.from_numpy(labels)[None].long(),
            phi=torch.from_numpy(phi)[None],
            goal=goal,
            scope=spec.scope,
            networks=(segmenter,),
            seeds=(0,),
            steps=steps,
        )
        meter = AttackMeter(phi, goal, example.labels)
        floors, crafted = [], []
        for _ in range(ROUNDS):
            floors.append(median(floor(problem) for _ in range(steps)))
            started = time.perf_counter()
            run_attack(attack, [spec], problem, [model], [meter], [example.image], [[None]], lambda step: None)
            crafted.append((time.perf_counter() - started) / steps)
        bare, step = median(floors), median(crafted)
        typer.echo(f"{spec.label:12} step {step:.4f} s, bare {bare:.4f} s, ratio {step / bare:.2f}")


if __name__ == "__main__":
    typer.run(main)

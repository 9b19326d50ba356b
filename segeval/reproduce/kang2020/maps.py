"""What the figures of Kang et al. 2020 show besides adversarial images: probe, gradient of ξ, images over the steps."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segeval.classes import parse_task
from segeval.datasets import Dataset, Example, open_dataset
from segeval.files.encoding import encode_sealed
from segeval.files.experiments import ExperimentConfig, GradientMap, Iterate, Maps, Probe, Strip
from segeval.files.images import save_png
from segeval.files.npy import save_npy
from segeval.files.sets import Scope, TaskRecord
from segeval.files.storage import write_atomic
from segeval.generate.attacks.budgets import to_bytes
from segeval.generate.attacks.problem import Candidate, Problem
from segeval.generate.attacks.specs import build_attack
from segeval.generate.attacks.tanh import Tanh
from segeval.generate.crafting.jobs import seed_of
from segeval.generate.numerics import prepare_torch
from segeval.goals import source_mask
from segeval.models import Segmenter
from segeval.models.segmenter import resizing
from segeval.models.soundness import predict
from segeval.places import dataset_root
from segeval.progress import Progress

GRADIENT_STEP = 30
"""The step whose gradient Figure 5 shows."""
SHOWN_STEPS = (0, 1, 5, 10, 20, 30, 50)
SQUARE = 100
"""Side of the white square of the probe image, in pixels."""


def gradients_of(config: ExperimentConfig) -> int:
    """Gradients that the maps of a model take at most: up to the step of Figure 5, and all steps in both scopes."""
    return len(config.budget_images) * min(GRADIENT_STEP, config.steps) + 2 * config.steps


def make_maps(config: ExperimentConfig, models: Sequence[Segmenter], root: Path, tick: Progress) -> Maps:
    """Compute the maps of a reproduction and write them below `root`, maps.json last."""
    prepare_torch()
    dataset = opened(config, models)
    task = parse_task(config.tasks[0])
    record = TaskRecord(task.name, *task.resolve(dataset.table))
    examples = list(chosen(dataset, config.budget_images))
    height, width = examples[0].image.shape[:2]
    probe = probe_image(height, width)
    jobs = [
        (model, example)
        for model in models
        for example in examples
        if source_mask(predict(model, example.image), record.sources).any()
    ]
    gradients: list[GradientMap] = []
    progress: list[Strip] = []
    for number, (model, example) in enumerate(jobs):
        tick("gradient maps", number, len(jobs))
        first = model.spec.name not in {each.model for each in gradients}
        gradients.append(gradient_map(root, config, model, example, record, keep=first))
        if first:
            scopes: tuple[Scope, ...] = ("local", "full")
            progress += [over_the_steps(root, config, model, example, record, scope) for scope in scopes]
    tick("gradient maps", len(jobs), len(jobs))
    maps = Maps(
        task=task.name,
        probe_image=save_png(root, "probe/image.png", probe),
        probes=tuple(
            Probe(model.spec.name, save_png(root, f"probe/{model.spec.name}.png", predict(model, probe)))
            for model in models
        ),
        gradients=tuple(gradients),
        progress=tuple(progress),
    )
    write_atomic(root / "maps.json", encode_sealed(maps, indent=2) + b"\n")
    return maps


def opened(config: ExperimentConfig, models: Sequence[Segmenter]) -> Dataset:
    """The dataset of a reproduction, resized as for its models. Raises DataError."""
    resize = resizing([model.spec for model in models])
    return open_dataset(config.dataset, dataset_root(config.data_root), config.split, config.size, resize)


def chosen(dataset: Dataset, ids: Sequence[str]) -> Iterator[Example]:
    """The examples of a dataset with these ids."""
    places = {name: index for index, name in enumerate(dataset.ids)}
    for name in ids:
        yield dataset[places[name]]


def probe_image(height: int, width: int) -> NDArray[np.uint8]:
    """(H, W, 3) black with a white square in the centre (Fig. 4)."""
    image = np.zeros((height, width, 3), np.uint8)
    top, left = (height - SQUARE) // 2, (width - SQUARE) // 2
    image[max(top, 0) : top + SQUARE, max(left, 0) : left + SQUARE] = 255
    return image


def pixels_of(example: Example, model: Segmenter) -> Tensor:
    """(1, 3, H, W) an image in [0, 1] where a model is."""
    return torch.from_numpy(example.image).permute(2, 0, 1)[None].to(model.mean.device).float() / 255


def problem_of(config: ExperimentConfig, model: Segmenter, example: Example, task: TaskRecord, scope: Scope) -> Problem:
    """One image under one victim."""
    predicted = predict(model, example.image)
    device = model.mean.device
    return Problem(
        clean=pixels_of(example, model),
        predicted=torch.from_numpy(predicted)[None].to(device).long(),
        phi=torch.from_numpy(source_mask(predicted, task.sources))[None].to(device),
        goal=task.goal,
        scope=scope,
        networks=(model,),
        steps=config.steps,
        seeds=(seed_of(config.seed, f"{example.id}/{task.name}/tanh-{scope}-paper/{model.spec.name}"),),  # as in table1
    )


def paper_attack(scope: Scope) -> Tanh:
    """The tanh method as published."""
    attack = build_attack("tanh", "paper", scope, {})
    assert isinstance(attack, Tanh)
    return attack


def gradient_map(
    root: Path, config: ExperimentConfig, model: Segmenter, example: Example, task: TaskRecord, keep: bool
) -> GradientMap:
    """The gradient of ξ on one image, and how much of it lies in φ."""
    problem, attack = problem_of(config, model, example, task, "full"), paper_attack("full")
    step = min(GRADIENT_STEP, config.steps)
    candidate = next(islice(attack.candidates(problem), step, None))
    gradient = offset_gradient(attack, problem, candidate)
    energy = gradient.double().square().sum(1)
    name = model.spec.name
    place = f"gradient/{name}/{example.id}.npy"
    return GradientMap(
        model=name,
        image=example.id,
        step=step,
        energy_in_phi=float((energy * problem.phi).sum() / energy.sum()),
        phi_share=float(problem.phi.double().mean()),
        gradient=save_npy(root, place, gradient[0].cpu().numpy()) if keep else None,
    )


def offset_gradient(attack: Tanh, problem: Problem, candidate: Candidate) -> Tensor:
    """(N, 3, H, W) gradient of the objective to ξ.

    The image is (tanh(W ⊙ a + ξ) + 1) / 2, whose derivative to ξ is (1 − tanh²) / 2.
    """
    weights = attack.weights(problem, candidate.logits)
    objective = attack.objective(problem, candidate.images, candidate.logits, problem.region_weights, weights)
    (gradient,) = torch.autograd.grad(objective.sum(), candidate.images)
    return gradient * (1 - (2 * candidate.images.detach() - 1).square()) / 2


def over_the_steps(
    root: Path, config: ExperimentConfig, model: Segmenter, example: Example, task: TaskRecord, scope: Scope
) -> Strip:
    """The image as it is after some of the steps."""
    problem, attack, name = problem_of(config, model, example, task, scope), paper_attack(scope), model.spec.name
    iterates = []
    for step, candidate in enumerate(islice(attack.candidates(problem), config.steps + 1)):
        if step in SHOWN_STEPS or step == config.steps:
            image = to_bytes(candidate.images[0], example.image, None)
            mean = float(np.abs(image.astype(np.int16) - example.image).mean())
            place = f"progress/{name}/{scope}/{example.id}/step-{step:03d}.png"
            iterates.append(Iterate(step, mean, save_png(root, place, image)))
    return Strip(name, example.id, scope, tuple(iterates))

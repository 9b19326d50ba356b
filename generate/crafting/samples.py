"""From images to files: clean images with what victims see in them, and attacked ones, measured after reading back."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segeval.datasets import Example
from segeval.errors import ConfigurationError, EngineError
from segeval.files.images import read_png, save_png
from segeval.files.npy import save_npy
from segeval.files.set_folder import SetFolder
from segeval.files.sets import AdversarialSample, AttackSpec, FileRecord, Norms, TaskRecord
from segeval.files.storage import inside, sha256_file
from segeval.metrics import AttackMeter, Labels, Mask
from segeval.models import Segmenter
from segeval.models.soundness import predict

from ..attacks.problem import Problem
from ..attacks.victims import Victims
from .driver import Outcome, run_attack
from .jobs import Job
from .margins import ask

RgbImage = NDArray[np.uint8]


@dataclass(frozen=True)
class ImageFiles:
    """What is on disk for one image.

    Attributes:
        predictions: per model, and per group of victims.
        phi, phi_pixels: per (group of victims, task).
    """

    id: str
    clean: FileRecord
    truth: FileRecord | None
    predictions: Mapping[str, FileRecord]
    phi: Mapping[tuple[str, str], FileRecord]
    phi_pixels: Mapping[tuple[str, str], int]


def save_image(
    folder: SetFolder,
    example: Example,
    models: Sequence[Segmenter],
    groups: Sequence[Victims],
    tasks: Sequence[TaskRecord],
    keep: bool,
) -> tuple[ImageFiles, dict[str, Labels]]:
    """Save an image, its ground truth, the clean predictions of models and groups, and the groups' masks φ.

    Args:
        folder: of the set.
        example: image and ground truth.
        models: every network of the set.
        groups: of victims.
        tasks: to be attacked.
        keep: samples may rest on what is there.

    Returns:
        What is on disk now, and the predictions per model and group.

    Raises:
        ConfigurationError: if another picture is there that is to be kept.
    """
    root, name = folder.root, example.id

    def save(path: str, pixels: NDArray[np.uint8]) -> FileRecord:
        if keep and (root / path).exists():
            return unchanged(root, path, pixels)
        return save_png(root, path, pixels)

    clean = save(f"clean/{name}.png", example.image)
    truth = None if example.labels is None else save(f"truth/{name}.png", example.labels)
    labels = {model.spec.name: predict(model, example.image, f"image {name}") for model in models}
    labels |= {victims.name: victims.predict(example.image) for victims in groups if victims.name not in labels}
    predictions = {who: save(f"prediction/{who}/{name}.png", seen) for who, seen in labels.items()}
    phi: dict[tuple[str, str], FileRecord] = {}
    pixels: dict[tuple[str, str], int] = {}
    for victims in groups:
        who = victims.name
        for task in tasks:
            mask = task.goal.phi(labels[who])
            pixels[who, task.name] = int(np.count_nonzero(mask))
            phi[who, task.name] = save(f"phi/{who}/{task.name}/{name}.png", mask.astype(np.uint8) * 255)
    return ImageFiles(name, clean, truth, predictions, phi, pixels), labels


def unchanged(root: Path, path: str, pixels: NDArray[np.uint8]) -> FileRecord:
    """The record of a PNG that is there. Raises ConfigurationError if it shows something else than `pixels`."""
    there = inside(root, path)
    if not np.array_equal(read_png(there, "RGB" if pixels.ndim == 3 else "L"), pixels):
        what = f"{there} is not what would be saved now: the images, labels or networks have changed since"
        raise ConfigurationError(what, "restore what the set was started with, or choose a new folder with --out")
    return FileRecord(path, sha256_file(there))


@dataclass(frozen=True)
class Loaded:
    """One image read back from the set.

    Attributes:
        predicted: by the victims together.
        shown: by each of them alone, if the attack is to stay unseen by some; empty if not.
    """

    clean: RgbImage
    predicted: Labels
    shown: Mapping[str, Labels]
    phi: Mask
    truth: Labels | None


def load(folder: SetFolder, files: ImageFiles, job: Job) -> Loaded:
    """Read an image, and what a job needs to know about it, back from the set."""
    victims = job.victims
    truth = None if files.truth is None else folder.labels(files.truth)
    predicted = folder.labels(files.predictions[victims.name])
    shown: dict[str, Labels] = {}
    if any(job.attacked.unaware):
        alone = len(victims.names) == 1
        shown = {name: predicted if alone else folder.labels(files.predictions[name]) for name in victims.names}
    phi = folder.mask(files.phi[victims.name, job.task.name])
    return Loaded(folder.image(files.clean), predicted, shown, phi, truth)


def attack_batch(
    folder: SetFolder,
    job: Job,
    shown: Sequence[Segmenter],
    files: Sequence[ImageFiles],
    limits: Sequence[Sequence[float | None]],
    seeds: tuple[int, ...],
    tick: Callable[[int], None],
) -> list[AdversarialSample]:
    """Attack the images of a job and save the results; a record per image and spec, measured on the saved files.

    Args:
        folder: of the set.
        job: what to attack, and how.
        shown: the models that see the adversarial images, the victims among them.
        files: what is on disk for each image.
        limits: per image and spec, the mean change in levels that the saved image may have.
        seeds: one per image.
        tick: called with the number of steps taken.
    """
    loaded = [load(folder, file, job) for file in files]
    meters = [AttackMeter(each.phi, job.task.goal, each.truth, each.predicted) for each in loaded]
    problem = make_problem(job, loaded, seeds)
    attack, specs = job.trajectory.attack, job.trajectory.specs
    clean = [each.clean for each in loaded]
    outcomes = run_attack(attack, specs, problem, job.attacked.names, meters, clean, limits, tick)
    return [
        save_sample(folder, job, spec, shown, file, image, meter, outcome, seed)
        for file, image, meter, found, seed in zip(files, loaded, meters, outcomes, seeds, strict=True)
        for spec, outcome in zip(specs, found, strict=True)
    ]


def make_problem(job: Job, loaded: Sequence[Loaded], seeds: tuple[int, ...]) -> Problem:
    """The images of a job as tensors on the victims' device."""
    device = job.victims.segmenters[0].mean.device
    spec, attacked = job.trajectory.specs[0], job.attacked
    unseen_by = attacked.models if any(attacked.unaware) else ()

    def stacked(maps: Iterable[NDArray[np.generic]]) -> Tensor:
        return torch.from_numpy(np.stack(list(maps))).to(device)

    return Problem(
        clean=stacked(each.clean.transpose(2, 0, 1) for each in loaded).float() / 255,
        predicted=stacked(each.predicted for each in loaded).long(),
        phi=stacked(each.phi for each in loaded),
        goal=job.task.goal,
        scope=spec.scope,
        networks=attacked.networks,
        seeds=seeds,
        steps=spec.steps,
        outputs=attacked.outputs,
        unaware=attacked.unaware,
        shown=tuple(stacked(each.shown[model] for each in loaded).long() for model in unseen_by),
        whole_levels=spec.whole_levels,
        dithered=spec.dithered,
    )


def save_sample(
    folder: SetFolder,
    job: Job,
    spec: AttackSpec,
    shown: Sequence[Segmenter],
    files: ImageFiles,
    loaded: Loaded,
    meter: AttackMeter,
    outcome: Outcome,
    seed: int,
) -> AdversarialSample:
    """Save one adversarial image, read it back, verify what the attack promised, and measure what each model sees."""
    victims, task = job.victims.name, job.task.name
    place, sample = f"{spec.label}/{task}/{files.id}", job.sample_id(files.id, spec.label)
    saved = save_png(folder.root, f"adversarial/{victims}/{place}.png", outcome.image)
    adversarial = folder.image(saved)
    require_promise(loaded, adversarial, spec, sample)
    records = {
        "clean": files.clean,
        "adversarial": saved,
        "phi": files.phi[victims, task],
        f"prediction:{victims}": files.predictions[victims],
    }
    if files.truth is not None:
        records["truth"] = files.truth
    answers = {model.spec.name: ask(model, adversarial, loaded.phi, job.task.goal, loaded.predicted) for model in shown}
    for model, answer in answers.items():
        made_for = model if model == victims else f"{model}/for-{victims}"
        records[f"prediction:{model}"] = files.predictions[model]
        records[f"adversarial_prediction:{model}"] = save_png(
            folder.root, f"adversarial_prediction/{made_for}/{place}.png", answer.labels
        )
        records[f"margin:{model}"] = save_npy(folder.root, f"margin/{made_for}/{place}.npy", answer.margins)
    clean = {model: folder.labels(files.predictions[model]) for model in answers}
    return AdversarialSample(
        id=sample,
        image=files.id,
        task=task,
        attack=spec.label,
        victims=job.victims.names,
        seed=seed,
        best_step=outcome.step,
        norms=norms(loaded, adversarial),
        counts={model: meter.count(answer.labels) for model, answer in answers.items()},
        clean_counts={model: meter.count(labels) for model, labels in clean.items()},
        files=records,
        curve=outcome.curve,
    )


def norms(loaded: Loaded, adversarial: RgbImage) -> Norms:
    """Size of the change between two 8-bit images."""
    change = adversarial.astype(np.int64) - loaded.clean.astype(np.int64)
    size = np.abs(change)
    return Norms(
        mean=float(size.mean()),
        mean_phi=float(size[loaded.phi].mean()) if loaded.phi.any() else 0.0,
        l2=float(np.sqrt(np.square(change).sum())),
        linf=int(size.max()),
    )


def require_promise(loaded: Loaded, adversarial: RgbImage, spec: AttackSpec, sample: str) -> None:
    """Raise EngineError unless the saved image keeps the budget and, for a local attack, is clean outside φ."""
    change = np.abs(adversarial.astype(np.int16) - loaded.clean.astype(np.int16))
    if spec.budget is not None and change.max() > spec.budget:
        raise EngineError(
            f"{sample} changes a pixel by {change.max()} levels, its budget is {spec.budget}", "please report this"
        )
    if spec.scope == "local" and change[~loaded.phi].any():
        raise EngineError(f"{sample} changes pixels outside φ though its scope is local", "please report this")

"""Training a registered network on any dataset: enough to make the bundled weights, and your own.

AdamW with warm-up and polynomial decay, auxiliary losses, class weights after ENet (Paszke et al. 2016), an
exponential average of the weights, which is what is validated and saved.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from segeval.classes import class_difference, same_classes
from segeval.datasets import Dataset, open_dataset
from segeval.errors import ConfigurationError, DataError
from segeval.files.encoding import decode, encode_sealed
from segeval.files.exclusive import only_writer
from segeval.files.folders import require_own
from segeval.files.refused import undone_if_refused
from segeval.files.storage import write_atomic
from segeval.metrics import ConfusionMatrix
from segeval.models import ModelSpec, Segmenter, load_model
from segeval.models.loading import load_spec
from segeval.models.safe import to_safetensors
from segeval.models.soundness import predict
from segeval.places import dataset_root
from segeval.progress import Progress

from .cached_examples import CachedExamples
from .config import TrainConfig, require_sensible
from .distillation import SoftLabels, outputs_of
from .epochs import Run
from .initial import initial_network

Report = Callable[["EpochReport"], None]


@dataclass(frozen=True)
class EpochReport:
    """The progress of a training.

    Attributes:
        loss: mean over the epoch.
        miou: on validation, of the averaged weights; or None.
    """

    epoch: int
    epochs: int
    loss: float
    miou: float | None


def train(config: TrainConfig, out: Path, resume: bool, progress: Progress, report: Report) -> Path:
    """Train, checkpointing every epoch in `out`; returns the safetensors file of the averaged weights.

    Raises ConfigurationError for options that no training can have, or if `out` holds something else or a training to
    be resumed, or if another process is at it; DataError for images that the network cannot take. No epoch is computed
    before that is known.
    """
    torch.set_flush_denormal(True)
    torch.manual_seed(config.seed)
    require_sensible(config)
    require_own(out, "train")
    spec = load_spec(config.model)
    dataset, validation = opened_splits(config)
    if not same_classes(dataset.table, spec.table):
        raise ConfigurationError(
            f"{config.dataset} has the classes of {dataset.table.name}, {spec.name} of {spec.table.name}: "
            f"{class_difference(dataset.table, spec.table)}"
        )
    require_fitting(config, spec, validation)
    teacher = load_teacher(config, spec)
    network = initial_network(spec, config.initial)
    new, checkpoint = not out.exists(), out / "checkpoint.pt"
    with only_writer(out, "train"):
        require_folder(config, out, resume)
        with undone_if_refused(out, new, ("cache", "cache-validation", "train.json"), checkpoint.exists):
            examples = CachedExamples(dataset, spec, out / "cache", progress)
            soft = None if teacher is None else SoftLabels(teacher, spec, examples, out / "cache", progress)
            run = Run(config, spec, network, examples, soft)
            if resume:
                run.restore(checkpoint)
            unseen = CachedExamples(validation, spec, out / "cache-validation", progress)
            return run_epochs(run, unseen, out, progress, report)


def run_epochs(run: Run, unseen: CachedExamples, out: Path, progress: Progress, report: Report) -> Path:
    """The epochs that are left, each kept in `out` before it is validated; the file of the averaged weights."""
    config, spec = run.config, run.spec
    weights = out / f"{spec.name}.safetensors"
    while run.epoch < config.epochs:
        loss = run.train_epoch(progress)
        write_atomic(weights, to_safetensors(run.weights_to_save()))
        run.save(out / "checkpoint.pt")  # before validation, which may fail or be interrupted: the epoch is not lost
        due = run.epoch % config.validate_every == 0 or run.epoch == config.epochs
        miou = mean_iou(Segmenter(spec, run.averaged.module), unseen, progress) if due else None
        report(EpochReport(run.epoch, config.epochs, loss, miou))
    return weights


def require_fitting(config: TrainConfig, spec: ModelSpec, validation: Dataset) -> None:
    """Prove that the network can take the crop and the validation images, which have one size.

    Raises ConfigurationError for the crop, DataError for the images.
    """
    sizes = Segmenter(spec, nn.Identity())
    try:
        sizes.require_size(*config.crop, "--crop")
    except DataError as error:
        raise ConfigurationError(error.what, "choose a crop that fits the network; the images can stay") from error
    example = validation[0]
    height, width, _ = example.image.shape
    sizes.require_size(height, width, f"the validation image {example.id}")


def opened_splits(config: TrainConfig) -> tuple[Dataset, Dataset]:
    """What is trained and what is validated on. Raises ConfigurationError if the names held out leave one empty."""
    dataset = opened(config, config.train_split)
    if not config.hold_out:
        return Part(dataset, range(len(dataset))[: config.limit]), opened(config, config.validation_split)
    held = [number for number, name in enumerate(dataset.ids) if name.startswith(config.hold_out)]
    kept = sorted(set(range(len(dataset))).difference(held))
    if not held or not kept:
        raise ConfigurationError(
            f"--hold-out {config.hold_out}: the names of {len(held)} of {len(dataset)} training images begin like this",
            f"give the first letters of some, but not all names; they look like {dataset.ids[0]}",
        )
    return Part(dataset, kept[: config.limit]), Part(dataset, held)


def opened(config: TrainConfig, split: str) -> Dataset:
    """A split of the training's dataset."""
    return open_dataset(config.dataset, dataset_root(config.data_root), split, config.size, ignore=config.ignore)


def load_teacher(config: TrainConfig, spec: ModelSpec) -> Segmenter | None:
    """The teacher, if there is one. Raises ConfigurationError if it lacks a class."""
    if not config.teacher:
        return None
    teacher = load_model(config.teacher, config.device)
    outputs_of(teacher.spec, spec)
    return teacher


class Part:
    """Some examples of a dataset."""

    def __init__(self, dataset: Dataset, numbers: Sequence[int]) -> None:
        self.dataset = dataset
        self.table = dataset.table
        self.numbers = numbers
        self.ids: Sequence[str] = tuple(dataset.ids[number] for number in numbers)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.numbers[index]]


def require_folder(config: TrainConfig, out: Path, resume: bool) -> None:
    """Make `out` this training's folder, or prove that it is."""
    record = out / "train.json"
    if record.exists():
        if decode(record.read_bytes(), TrainConfig, str(record)) != config:
            raise ConfigurationError(f"{out} holds a training with other options", "choose another folder with --out")
        if not resume:
            raise ConfigurationError(f"{out} holds this training already", "continue it with --resume")
    elif resume:
        raise ConfigurationError(f"{out} holds no training to resume", "leave out --resume")
    write_atomic(record, encode_sealed(config, indent=2))


def mean_iou(segmenter: Segmenter, examples: CachedExamples, progress: Progress) -> float | None:
    """mIoU over all examples."""
    matrix = ConfusionMatrix(len(segmenter.spec.table))
    for number, (image, labels) in enumerate(zip(examples.images, examples.labels, strict=True), start=1):
        matrix.update(labels, predict(segmenter, np.array(image)))
        progress("validation", number, len(examples))
    return matrix.mean_iou()

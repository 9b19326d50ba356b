"""Training a registered network on any dataset: enough to make the bundled weights, and your own.

AdamW with warm-up and polynomial decay, auxiliary losses, class weights after ENet (Paszke et al. 2016), an
exponential average of the weights, which is what is validated and saved.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from segeval.classes import IGNORE, same_classes
from segeval.datasets import Dataset, open_dataset
from segeval.errors import ConfigurationError, DataError, MissingPrerequisiteError
from segeval.generate.augment import Augmentation
from segeval.generate.examples import CachedExamples
from segeval.metrics import ConfusionMatrix
from segeval.models import ModelSpec, Segmenter
from segeval.models.loading import build_network, load_spec, read_state
from segeval.models.segmenter import predict
from segeval.places import dataset_root
from segeval.progress import Progress
from segeval.records import decode, encode
from segeval.store import write_atomic

Report = Callable[["EpochReport"], None]


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the result of a training.

    rate: peak learning rate.   warm_up: share of the steps until it is reached.   auxiliary: weight of each
    auxiliary loss.   averaging: decay of the weights' average per step.   crop: (height, width).
    initial: weight file to start from, empty for random weights.
    """

    model: str
    dataset: str
    data_root: str | None = None
    train_split: str = "train"
    validation_split: str = "val"
    size: tuple[int, int] | None = None
    limit: int | None = None
    epochs: int = 30
    batch_size: int = 8
    crop: tuple[int, int] = (256, 512)
    scale: tuple[float, float] = (0.75, 1.5)
    rate: float = 2e-3
    decay: float = 1e-2
    warm_up: float = 0.03
    auxiliary: float = 0.4
    class_weights: bool = True
    averaging: float = 0.99
    initial: str = ""
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True)
class EpochReport:
    """Where a training stands. loss: mean over the epoch.   miou: on validation, of the averaged weights."""

    epoch: int
    epochs: int
    loss: float
    miou: float | None


def train(config: TrainConfig, out: Path, resume: bool, progress: Progress, report: Report) -> Path:
    """Train, checkpointing every epoch in `out`; returns the safetensors file of the averaged weights.

    Raises ConfigurationError for options that no training can have, or if `out` holds another training or one to be
    resumed; DataError for images that the network cannot take. No epoch is computed before that is known.
    """
    torch.set_flush_denormal(True)
    torch.manual_seed(config.seed)
    require_sensible(config)
    spec = load_spec(config.model)
    dataset, validation = opened(config, config.train_split), opened(config, config.validation_split)
    if not same_classes(dataset.table, spec.table):
        raise ConfigurationError(
            f"{config.dataset} has the classes of {dataset.table.name}, {spec.name} of {spec.table.name}"
        )
    require_fitting(config, spec, validation)
    require_folder(config, out, resume)
    run = Run(config, spec, CachedExamples(limited(dataset, config.limit), out / "cache", progress))
    if resume:
        run.restore(out / "checkpoint.pt")
    unseen = CachedExamples(validation, out / "cache-validation", progress)
    weights = out / f"{spec.name}.safetensors"
    while run.epoch < config.epochs:
        loss = run.train_epoch(progress)
        write_atomic(weights, to_safetensors(run.weights_to_save()))
        run.save(out / "checkpoint.pt")  # before validation, which may fail or be interrupted: the epoch is not lost
        miou = mean_iou(Segmenter(spec, run.averaged.module), unseen, progress)
        report(EpochReport(run.epoch, config.epochs, loss, miou))
    return weights


def require_sensible(config: TrainConfig) -> None:
    """Raise ConfigurationError for options that no training can have."""
    low, high = config.scale
    if not 0 < low <= high < math.inf:
        raise ConfigurationError(f"--zoom {low} {high}: no range of zooms", "give the smallest, then the largest")
    if min(config.crop) < 1:
        raise ConfigurationError(f"--crop {config.crop[0]}x{config.crop[1]}: no pixel is left", "as in --crop 256x512")
    if config.epochs < 1 or (config.limit is not None and config.limit < 1):
        raise ConfigurationError("the number of epochs and the limit must be at least 1")
    if config.batch_size < 2:
        raise ConfigurationError("the batch size must be at least 2", "batch normalization needs several examples")
    if not 0 < config.rate < math.inf:
        raise ConfigurationError(f"--rate {config.rate}: the learning rate must be above 0", "the default is 0.002")


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


def opened(config: TrainConfig, split: str) -> Dataset:
    """A split of the training's dataset."""
    return open_dataset(config.dataset, dataset_root(config.data_root), split, config.size)


def limited(dataset: Dataset, limit: int | None) -> Dataset:
    """The first `limit` examples of a dataset."""
    return dataset if limit is None else First(dataset, limit)


class First:
    """The beginning of a dataset."""

    def __init__(self, dataset: Dataset, count: int) -> None:
        self.dataset = dataset
        self.table = dataset.table
        self.ids = dataset.ids[:count]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[range(len(self))[index]]


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
    write_atomic(record, encode(config, indent=2))


class Run:
    """The state of a training: network, averaged network, optimizer and where it stands."""

    def __init__(self, config: TrainConfig, spec: ModelSpec, examples: CachedExamples) -> None:
        self.config = config
        self.examples = examples
        self.device = torch.device(config.device)
        state = read_state(Path(config.initial)) if config.initial else None
        network = build_network(spec, state, config.initial)
        # Channels last is 1.5 to 2 times faster on the CPU with these networks.
        self.network = network.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if not hasattr(network, "forward_with_auxiliaries"):
            raise MissingPrerequisiteError(f"{spec.name} cannot be trained here: it has no forward_with_auxiliaries")
        average = get_ema_multi_avg_fn(config.averaging)  # type: ignore[no-untyped-call]
        self.averaged = AveragedModel(self.network, multi_avg_fn=average, use_buffers=True)
        self.normaliser = Segmenter(spec, nn.Identity()).to(self.device)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), config.rate, weight_decay=config.decay)
        self.steps_per_epoch = len(examples) // config.batch_size
        if not self.steps_per_epoch:
            raise DataError(f"{len(examples)} examples do not fill one batch of {config.batch_size}")
        self.epoch = 0
        shares = torch.from_numpy(examples.class_shares(len(spec.outputs))).float().to(self.device)
        self.class_weights = 1 / torch.log(1.1 + shares) if config.class_weights else torch.ones_like(shares)

    def train_epoch(self, progress: Progress) -> float:
        """One pass over the examples; the mean loss."""
        self.network.train()
        torch.manual_seed(self.config.seed * 1_000_003 + self.epoch)  # dropout: a resumed run draws the same
        order = np.random.default_rng([self.config.seed, self.epoch]).permutation(len(self.examples))
        augment = Augmentation(self.config.crop, self.config.scale)
        total = 0.0
        for number in range(self.steps_per_epoch):
            chosen = np.sort(order[number * self.config.batch_size :][: self.config.batch_size])
            step = self.epoch * self.steps_per_epoch + number
            generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + step)
            images, labels = augment(*self.examples.batch(chosen), generator)
            total += self.step(images.to(self.device), labels.to(self.device), step)
            progress(f"epoch {self.epoch + 1}/{self.config.epochs}", number + 1, self.steps_per_epoch)
        self.epoch += 1
        return total / self.steps_per_epoch

    def step(self, images: Tensor, labels: Tensor, step: int) -> float:
        """One update; the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate * self.schedule(step)
        inputs = self.normaliser.normalise(images).contiguous(memory_format=torch.channels_last)
        outputs = self.network.forward_with_auxiliaries(inputs)
        loss = self.loss(outputs[0], labels)
        for auxiliary in outputs[1:]:
            loss = loss + self.config.auxiliary * self.loss(auxiliary, labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.averaged.update_parameters(self.network)
        return float(loss.detach())

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Weighted cross entropy; labels are brought to the resolution of the logits."""
        if logits.shape[2:] != labels.shape[1:]:
            labels = F.interpolate(labels[:, None].float(), logits.shape[2:], mode="nearest-exact")[:, 0].long()
        return F.cross_entropy(logits, labels, self.class_weights, ignore_index=IGNORE)

    def schedule(self, step: int) -> float:
        """Share of the peak rate: linear warm-up, then polynomial decay with exponent 0.9."""
        total = self.config.epochs * self.steps_per_epoch
        warm = max(math.ceil(self.config.warm_up * total), 1)
        return float(min((step + 1) / warm, (1 - step / total) ** 0.9))

    def weights_to_save(self) -> dict[str, Tensor]:
        """The averaged parameters, without the counters that only training needs."""
        state = self.averaged.module.state_dict()
        return {
            key: value.cpu().contiguous() for key, value in state.items() if not key.endswith("num_batches_tracked")
        }

    def save(self, path: Path) -> None:
        """Checkpoint; replaces the one before as a whole."""
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_atomic(path, buffer.getvalue())

    def restore(self, path: Path) -> None:
        """Continue from a checkpoint, if one was reached."""
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch = state["epoch"]


def mean_iou(segmenter: Segmenter, examples: CachedExamples, progress: Progress) -> float | None:
    """mIoU over all examples."""
    matrix = ConfusionMatrix(len(segmenter.spec.table))
    for number, (image, labels) in enumerate(zip(examples.images, examples.labels, strict=True), start=1):
        matrix.update(labels, predict(segmenter, np.array(image)))
        progress("validation", number, len(examples))
    return matrix.mean_iou()

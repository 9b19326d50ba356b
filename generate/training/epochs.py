"""The state of a training: network, averaged network, optimizer and progress."""

import hashlib
import io
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from segeval.classes import IGNORE
from segeval.errors import DataError, IntegrityError, MissingPrerequisiteError
from segeval.files.storage import write_atomic
from segeval.models import ModelSpec, Segmenter
from segeval.progress import Progress

from .augment import Augmentation
from .cached_examples import CachedExamples
from .config import TrainConfig
from .distillation import SoftLabels, soft_cross_entropy
from .lovasz import lovasz_softmax

ZIP = b"PK\x03\x04"
"""How PyTorch's own files begin."""


class Run:
    """One training, from its first step to its last.

    Attributes:
        network: as it starts.
        soft: what the teacher sees, or None.
    """

    def __init__(
        self,
        config: TrainConfig,
        spec: ModelSpec,
        network: nn.Module,
        examples: CachedExamples,
        soft: SoftLabels | None,
    ) -> None:
        self.config = config
        self.spec = spec
        self.examples = examples
        self.soft = soft
        self.device = torch.device(config.device)
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
        augment = Augmentation(self.config.crop, self.config.scale, self.config.colour)
        total = 0.0
        for number in range(self.steps_per_epoch):
            chosen = np.sort(order[number * self.config.batch_size :][: self.config.batch_size])
            step = self.epoch * self.steps_per_epoch + number
            generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + step)
            soft = None if self.soft is None else self.soft.batch(chosen)
            images, labels, soft = augment(*self.examples.batch(chosen), generator, soft)
            soft = None if soft is None else soft.to(self.device)
            total += self.step(images.to(self.device), labels.to(self.device), soft, step)
            progress(f"epoch {self.epoch + 1}/{self.config.epochs}", number + 1, self.steps_per_epoch)
        self.epoch += 1
        return total / self.steps_per_epoch

    def step(self, images: Tensor, labels: Tensor, soft: Tensor | None, step: int) -> float:
        """One update; the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate * self.schedule(step)
        inputs = self.normaliser.normalise(images).contiguous(memory_format=torch.channels_last)
        logits, *auxiliaries = self.network.forward_with_auxiliaries(inputs)
        spread = self.spread(logits)
        loss = self.loss(spread, labels)
        if self.config.lovasz:
            loss = loss + self.config.lovasz * lovasz_softmax(spread, resampled(labels, spread))
        for auxiliary in auxiliaries:
            loss = loss + self.config.auxiliary * self.loss(auxiliary, labels)
        if soft is not None:
            loss = loss + self.config.distillation * soft_cross_entropy(logits, soft)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.averaged.update_parameters(self.network)
        return float(loss.detach())

    def spread(self, logits: Tensor) -> Tensor:
        """Logits of any resolution at that of the loss, a `loss_stride`-th of the crop's."""
        height, width = (-(-side // self.config.loss_stride) for side in self.config.crop)
        return F.interpolate(logits, (height, width), mode="bilinear", align_corners=False)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Weighted cross entropy; labels are brought to the resolution of the logits."""
        return F.cross_entropy(logits, resampled(labels, logits), self.class_weights, ignore_index=IGNORE)

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
        """Checkpoint, after its own SHA-256; replaces the one before as a whole."""
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        data = buffer.getvalue()
        write_atomic(path, hashlib.sha256(data).digest() + data)

    def restore(self, path: Path) -> None:
        """Continue from a checkpoint, if one was reached. Raises IntegrityError if it was changed."""
        if not path.exists():
            return
        state = torch.load(io.BytesIO(checked(path)), map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch = state["epoch"]


def checked(path: Path) -> bytes:
    """What follows the SHA-256 in a checkpoint; those of earlier versions have none. Raises IntegrityError."""
    data = path.read_bytes()
    if data.startswith(ZIP):
        return data
    digest, rest = data[: hashlib.sha256().digest_size], data[hashlib.sha256().digest_size :]
    if hashlib.sha256(rest).digest() != digest:
        raise IntegrityError(
            f"{path} was changed after it was written", "restore the file, or train again into a new folder"
        )
    return rest


def resampled(labels: Tensor, logits: Tensor) -> Tensor:
    """Labels (N, H, W) at the resolution of the logits (N, C, h, w)."""
    if logits.shape[2:] == labels.shape[1:]:
        return labels
    return F.interpolate(labels[:, None].float(), logits.shape[2:], mode="nearest-exact")[:, 0].long()

"""What an attack is given and gives back. Images are (N, 3, H, W) RGB in [0, 1]; budgets are in 0–255 levels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from segeval.files.sets import Scope, Setting
from segeval.models import Segmenter

from .losses import cross_entropy, mean_over
from .victims import aligned


@dataclass(frozen=True)
class Candidate:
    """One iterate: images (N, 3, H, W) and the logits (N, C, H, W) each victim answers them with."""

    images: Tensor
    logits: tuple[Tensor, ...]


@dataclass(frozen=True)
class Problem:
    """A batch of images of one size to be attacked under one task.

    clean: (N, 3, H, W).   predicted: the victims' clean prediction y_gt (Eq. 7, 10), (N, H, W) shared class indices.
    phi: (N, H, W) bool, the pixels predicted as a source class.   sources, target: the task's classes.
    seeds: one per image; all randomness comes from them, so a result does not depend on the batch.
    outputs: per victim the number of its output for each shared class; empty where a class has the same number in all.
    """

    clean: Tensor
    predicted: Tensor
    phi: Tensor
    sources: tuple[int, ...]
    target: int
    scope: Scope
    segmenters: tuple[Segmenter, ...]
    seeds: tuple[int, ...]
    outputs: tuple[Tensor, ...] = ()

    @property
    def desired(self) -> Tensor:
        """(N, H, W) labels the attack wants: y_adv (Eq. 8), the clean prediction with φ replaced by the target."""
        return torch.where(self.phi, self.target, self.predicted)

    @property
    def region(self) -> Tensor:
        """(N, H, W) bool, the pixels the attack may change and answers for: φ, or the whole image."""
        return self.phi if self.scope == "local" else torch.ones_like(self.phi)

    def victims(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits (N, C, H, W) of every victim."""
        return tuple(segmenter(images) for segmenter in self.segmenters)

    def targeted_cross_entropy(self, logits: Sequence[Tensor]) -> Tensor:
        """(N,) mean cross entropy to the desired labels over the region, summed over victims (Eq. 1, 8, 10)."""
        losses = [cross_entropy(each, self.own(victim, self.desired)) for victim, each in enumerate(logits)]
        return torch.stack([mean_over(loss, self.region) for loss in losses]).sum(0)

    def own(self, victim: int, labels: Tensor) -> Tensor:
        """Shared class indices (N, H, W) as numbers of a victim's outputs."""
        return self.outputs[victim][labels] if self.outputs else labels

    def aligned(self, logits: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Every victim's logits of the shared classes, (N, S, H, W)."""
        return aligned(logits, self.outputs)

    def confine(self, images: Tensor) -> Tensor:
        """Bring images back to [0, 1], and to the clean image where the attack may not change it."""
        clipped = images.clamp(0, 1)
        return torch.where(self.phi[:, None], clipped, self.clean) if self.scope == "local" else clipped

    def uniform(self, low: float, high: float, stream: int) -> Tensor:
        """(N, 3, H, W) uniform random numbers in [low, high), drawn per image on the CPU. stream: tells draws apart."""
        drawn = [torch.rand(self.clean.shape[1:], generator=generator(seed, stream)) for seed in self.seeds]
        return low + (high - low) * torch.stack(drawn).to(self.clean)


def generator(seed: int, stream: int) -> torch.Generator:
    """The random numbers number `stream` of an image."""
    return torch.Generator().manual_seed((seed + 0x9E3779B97F4A7C15 * stream) % 2**63)


class Attack(Protocol):
    """A generator of candidates; a frozen dataclass whose fields are the attack's hyper-parameters.

    presets: per (preset, scope) the fields that differ from the defaults; ("default", …) need not be there.
    An attack may also have `local_only`, per field the value that only the local scope knows, and, if its change grows
    from step to step, `matched`, the fields with which it does so slowly enough to be matched to another attack's.
    """

    presets: ClassVar[Mapping[tuple[str, Scope], Mapping[str, Setting]]]

    @property
    def radius(self) -> float | None:
        """L-infinity budget in 0–255 levels that every candidate keeps, None if there is none."""
        ...

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        """Yield one candidate per step, for ever; the driver stops asking."""
        ...

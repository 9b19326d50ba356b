"""What an attack is given and gives back. Images are (N, 3, H, W) RGB in [0, 1]; budgets are in 0–255 levels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from segeval.files.sets import Scope, Setting
from segeval.goals import Goal
from segeval.models import Network
from segeval.models.straight_through import straight_through

from .budgets import EPSILON, Linf, dithered, linf
from .goal_losses import evasive_loss, goal_cross_entropy
from .pixel_losses import LOSSES, Loss, Pixels
from .victims import aligned

DITHER = 1000
"""Stream of an image's random numbers that its `lifts` are drawn from; attacks use the first ones."""
Presets = Mapping[tuple[str, Scope], Mapping[str, Setting]]


@dataclass(frozen=True)
class Candidate:
    """One iterate.

    Attributes:
        images: (N, 3, H, W).
        logits: (N, C, H, W) of every network for them.
        restart: how often the attack has begun anew before; changes grow from step to step within one start alone.
        outside: whether it is beyond the attack's budget, on the way to a better one within; it is not kept.
    """

    images: Tensor
    logits: tuple[Tensor, ...]
    restart: int = 0
    outside: bool = False


@dataclass(frozen=True)
class Problem:
    """A batch of images of one size to be attacked under one task.

    Attributes:
        clean: (N, 3, H, W).
        predicted: (N, H, W) shared class indices, the victims' clean prediction y_gt (Eq. 7, 10).
        phi: (N, H, W) bool, the pixels predicted as a source class.
        goal: what the attack wants of them.
        scope: where the image may change: in φ alone ("local") or everywhere ("full").
        networks: whose logits the attack looks at: the victims, or files that were deployed of them.
        seeds: one per image; all randomness comes from them, so a result does not depend on the batch.
        steps: how many the attack is given, for schedules; the driver takes one candidate more, the start.
        outputs: per network the number of its output for each shared class; empty where a class has the same number
            in all.
        unaware: per network whether it is to see nothing of the attack; empty if none is.
        shown: per network (N, H, W) what it shows on the clean image itself, in the numbers of its outputs, which of
            several victims differs from `predicted`; empty if no network is unaware.
        whole_levels: whether the networks see images rounded to whole levels, which deployed files demand.
        dithered: whether they see them rounded with the image's `lifts`, as they are saved then.
        done: numbers of the images that are done. No network is asked about them any more; their logits are 0.
    """

    clean: Tensor
    predicted: Tensor
    phi: Tensor
    goal: Goal
    scope: Scope
    networks: tuple[Network, ...]
    seeds: tuple[int, ...]
    steps: int
    outputs: tuple[Tensor, ...] = ()
    unaware: tuple[bool, ...] = ()
    shown: tuple[Tensor, ...] = ()
    whole_levels: bool = False
    dithered: bool = False
    done: set[int] = field(default_factory=set)

    @cached_property
    def region(self) -> Tensor:
        """(N, H, W) bool, the pixels the attack may change and answers for: φ, or the whole image."""
        return self.phi if self.scope == "local" else torch.ones_like(self.phi)

    @cached_property
    def region_weights(self) -> Tensor:
        """(N, H, W) `mean_weights` of the region."""
        return mean_weights(self.region, self.clean.dtype)

    @cached_property
    def phi_weights(self) -> Tensor:
        """(N, H, W) float64 `mean_weights` of φ."""
        return mean_weights(self.phi, torch.float64)

    def logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits (N, C, H, W) of every network, 0 for images that are done."""
        seen = self.seen(images)
        if not self.done:
            return tuple(network(seen) for network in self.networks)
        seen = seen[self.left]
        return tuple(self.filled(network(seen)) for network in self.networks)

    @property
    def left(self) -> Tensor:
        """(M,) numbers of the images that are not done."""
        numbers = [number for number in range(len(self.clean)) if number not in self.done]
        return torch.tensor(numbers, device=self.clean.device)

    def filled(self, found: Tensor) -> Tensor:
        """(N, …) what was found of the images that are `left` (M, …), and 0 for those that are done."""
        return found.new_zeros(len(self.clean), *found.shape[1:]).index_copy(0, self.left, found)

    def seen(self, images: Tensor) -> Tensor:
        """What the networks see of images in [0, 1]; the gradient passes as if they were not rounded."""
        if not (self.dithered or self.whole_levels):
            return images
        with torch.no_grad():
            levels = dithered(images, self.lifts) if self.dithered else (images * 255).round_()
            shown = levels.div_(255)
        return straight_through(images, lambda images: shown)

    @cached_property
    def lifts(self) -> Tensor:
        """(N, 3, H, W) random numbers of each image, for `dithered`."""
        return self.uniform(0, 1, stream=DITHER).clamp_(EPSILON, 1 - EPSILON)

    def loss(self, logits: Sequence[Tensor]) -> Tensor:
        """(N,) mean over the region of `pixel_losses`, summed up (Eq. 1, 8, 10)."""
        return torch.stack([self.mean(loss) for loss in self.pixel_losses(logits)]).sum(0)

    def mean(self, values: Tensor) -> Tensor:
        """(N,) mean of (N, H, W) values over the region; 0 where it is empty."""
        return weighted_sum(values, self.region_weights)

    def pixel_losses(self, logits: Sequence[Tensor]) -> list[Tensor]:
        """(N, H, W) per network the cross entropy to what is desired; `evasive_loss` of all where one is unaware."""
        goals = [self.own_goal(number) for number in range(len(logits))]
        clean = [self.own(number, self.predicted) for number in range(len(logits))]
        if any(self.unaware):
            return [evasive_loss(goals, logits, clean, self.shown, self.phi, self.unaware)]
        return [goal_cross_entropy(*each, self.phi) for each in zip(goals, logits, clean, strict=True)]

    def published_loss(self, logits: Sequence[Tensor], loss: Loss, progress: float = 0.0) -> Tensor:
        """(N,) mean over the region of a loss of `pixel_losses.LOSSES`, summed up; `loss` where a network is unaware.

        Args:
            logits: (N, C, H, W) of every network.
            loss: which.
            progress: share of the steps that is done.
        """
        if any(self.unaware):
            return self.loss(logits)
        found = torch.zeros_like(self.clean[:, 0, 0, 0])
        for each in self.published_pixel_losses(logits, loss, progress):
            found = found + self.mean(each)
        return found

    def published_pixel_losses(self, logits: Sequence[Tensor], loss: Loss, progress: float = 0.0) -> Iterator[Tensor]:
        """(N, H, W) per network a loss of `pixel_losses.LOSSES`. logits, loss, progress: as of `published_loss`."""
        for number, each in enumerate(logits):
            yield LOSSES[loss](
                Pixels(self.own_goal(number), each, self.own(number, self.predicted), self.phi, progress)
            )

    def own_goal(self, network: int) -> Goal:
        """The goal in the numbers of a network's outputs."""
        if not self.outputs:
            return self.goal
        numbers: list[int] = self.outputs[network].tolist()
        target = None if self.goal.target is None else numbers[self.goal.target]
        # A class that the victims do not share is none that they can predict together.
        known = tuple(numbers[source] for source in self.goal.sources if source < len(numbers))
        return Goal(known, target, self.goal.kind)

    def own(self, network: int, labels: Tensor) -> Tensor:
        """Shared class indices (N, H, W) as numbers of a network's outputs."""
        return self.outputs[network][labels] if self.outputs else labels

    def aligned(self, logits: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Every network's logits of the shared classes, (N, S, H, W)."""
        return aligned(logits, self.outputs)

    def linf(self, radius: float) -> Linf:
        """Images within a radius in levels, in [0, 1], and like the clean image where the attack may not change it."""
        return linf(radius, self.clean, self.region[:, None])

    def confine(self, images: Tensor) -> Tensor:
        """Bring images back to [0, 1], and to the clean image where the attack may not change it."""
        clipped = images.clamp(0, 1)
        return torch.where(self.phi[:, None], clipped, self.clean) if self.scope == "local" else clipped

    def uniform(self, low: float, high: float, stream: int) -> Tensor:
        """(N, 3, H, W) uniform random numbers in [low, high), drawn per image on the CPU.

        Args:
            low: smallest number.
            high: above the largest.
            stream: tells draws apart.
        """
        drawn = [torch.rand(self.clean.shape[1:], generator=generator(seed, stream)) for seed in self.seeds]
        return low + (high - low) * torch.stack(drawn).to(self.clean)


def weighted_sum(values: Tensor, weights: Tensor) -> Tensor:
    """(N,) of (N, H, W) each; with the weights of a mean, that mean."""
    return (values * weights).sum((1, 2))


def mean_weights(region: Tensor, dtype: torch.dtype) -> Tensor:
    """(N, H, W) with which values are summed up to their mean over a boolean region; 0 where it is empty."""
    inside = region.to(dtype)
    return inside / inside.sum((1, 2), keepdim=True).clamp(min=1)


def generator(seed: int, stream: int) -> torch.Generator:
    """The random numbers number `stream` of an image."""
    return torch.Generator().manual_seed((seed + 0x9E3779B97F4A7C15 * stream) % 2**63)


class Attack(Protocol):
    """A generator of candidates; a frozen dataclass whose fields are the attack's hyper-parameters.

    An attack may also have

    * `norm`, what of the change it bounds or keeps small, and `paper`, both for lists;
    * `local_only`, per field the value that only the local scope knows;
    * `own_loss`, the fields of a loss that is not the problem's, which an evasive attack has no use for;
    * `matched`, if its change grows from step to step, the fields with which it does so slowly enough to be matched to
      another attack's;
    * `restarts`, the number of restarts, if it has any;
    * `require(network)`, which raises ConfigurationError for a `Segmenter` that it cannot be made on;
    * `aim`, if it looks for the smallest change, a field with the success that is enough: beyond it, and where nothing
      else limits the change, the smaller one is saved.

    Attributes:
        presets: per (preset, scope) the fields that differ from the defaults; ("default", …) need not be there.
    """

    presets: ClassVar[Presets]

    @property
    def radius(self) -> float | None:
        """L-infinity budget in whole 0–255 levels that every candidate keeps, None if there is none."""
        ...

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        """Yield one candidate per step without end; the driver stops asking.

        An attack drops its logits before the backward pass, so that their memory is free for it.
        """
        ...

"""Runs an attack: owns steps, measuring, the best iterate, curves and early stop, for every attack alike."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from math import inf, isfinite

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segeval.errors import EngineError
from segeval.files.sets import AttackSpec, Step
from segeval.metrics import AttackCounts, AttackMeter, Labels

from ..answers import answer
from ..attacks.budgets import mean_change, to_bytes
from ..attacks.problem import Attack, Candidate, Problem

LEVELS = 255.0
FAR = 1.5
"""A growing attack whose change is this many times what every spec allows is ended: it does not take so much back."""


@dataclass
class Kept:
    """The iterate of one image that would be saved now, by the rule of one spec.

    Attributes:
        limit: mean change in levels that the saved image may have, None for any.
        aim: success that is enough where nothing limits the change: beyond it, the smaller change is the better one.
        step: -1 while there is none.
    """

    spec: AttackSpec
    limit: float | None
    aim: float = 1.0
    iterate: "Rounded | None" = None
    step: int = -1
    score: tuple[float, float] = (-inf, 0.0)

    def offer(self, rounded: "Rounded", step: int, success: float, mean: float) -> None:
        """Keep an iterate if it is the one to save."""
        score = (success if self.limit is not None else min(success, self.aim), -mean)
        if self.spec.keep == "best" and score <= self.score:
            return
        if self.limit is None or rounded.change <= self.limit:
            self.iterate = rounded.copied() if self.limit is None else rounded
            self.step, self.score = step, score

    @property
    def image(self) -> NDArray[np.uint8] | None:
        """The iterate as it would be saved, None while there is none."""
        if self.iterate is None:
            return None
        return self.iterate.nearest if self.limit is None and not self.spec.dithered else self.iterate.dithered


@dataclass
class Rounded:
    """One iterate (3, H, W) as 8-bit images (H, W, 3), each made when it is asked for.

    Rounded to nearest, a change of less than half a level is none. Where the mean change is limited, that would leave
    all or nothing of an attack whose pixels change alike. There it is dithered: rounded up with the probability of its
    fraction, so that the mean change of the saved image is that of the iterate.
    """

    iterate: Tensor
    track: "Track"
    spec: AttackSpec

    def copied(self) -> "Rounded":
        """The same, whatever the attack writes over its iterate: rounding can wait until it is known to be saved."""
        return replace(self, iterate=self.iterate.detach().clone())

    @cached_property
    def nearest(self) -> NDArray[np.uint8]:
        """Rounded to nearest."""
        return to_bytes(self.iterate, self.track.clean, self.spec.budget)

    @cached_property
    def dithered(self) -> NDArray[np.uint8]:
        """Dithered with the image's random numbers."""
        return to_bytes(self.iterate, self.track.clean, self.spec.budget, self.track.lifts)

    @cached_property
    def change(self) -> float:
        """Mean absolute change of the dithered image in levels, over φ for the local scope and else over all."""
        return mean_change(self.dithered, self.track.clean, self.track.meter.phi, self.spec.scope)


@dataclass
class Track:
    """One image on its way: the curve so far, and an iterate for every spec.

    Attributes:
        lifts: (3, H, W) random numbers of this image, for dithering.
        shown: per network what it shows on the clean image; empty if none is to notice nothing.
        grows: whether its change grows from step to step, which attacks with `matched` say of themselves.
        over: the restart whose change went far beyond all limits, which ends that start; -1 for none.
    """

    meter: AttackMeter
    clean: NDArray[np.uint8]
    lifts: NDArray[np.float32]
    kept: list[Kept]
    shown: Sequence[Labels] = ()
    curve: list[Step] = field(default_factory=list)
    grows: bool = False
    over: int = -1
    finished: bool = False

    def beyond(self, change: float) -> bool:
        """Whether a mean change that grows is far beyond the limits of all specs. Never where one has none."""
        return self.grows and all(kept.limit is not None and change > FAR * kept.limit for kept in self.kept)


@dataclass(frozen=True)
class Outcome:
    """The chosen iterate of one image, 8-bit (H, W, 3), the step it was reached after, and the curve.

    Attributes:
        step: -1 where no iterate keeps the limit; the image is the clean one.
        curve: empty for an iterate that a limit chose from another spec's trajectory.
    """

    image: NDArray[np.uint8]
    step: int
    curve: tuple[Step, ...]


def run_attack(
    attack: Attack,
    specs: Sequence[AttackSpec],
    problem: Problem,
    names: Sequence[str],
    meters: Sequence[AttackMeter],
    clean: Sequence[NDArray[np.uint8]],
    limits: Sequence[Sequence[float | None]],
    tick: Callable[[int], None],
) -> list[list[Outcome]]:
    """Attack a batch; entry k of a curve is what k steps reached. Gives per image an outcome for every spec.

    Args:
        attack: the attack.
        specs: they differ only in which iterate they save.
        problem: images, victims and goal.
        names: of the problem's networks.
        meters: per image.
        clean: likewise.
        limits: per image and spec, the mean change in levels that the saved image may have.
        tick: called with the number of steps taken.
    """
    problem = replace(problem, done=set())
    needed = specs[0].dithered or any(limit is not None for row in limits for limit in row)
    lifts = problem.lifts.cpu().numpy() if needed else np.zeros(len(clean))
    aim = float(getattr(attack, "aim", 1.0))
    grows, last = bool(getattr(attack, "matched", {})), int(getattr(attack, "restarts", 0))
    shown = shown_by_image(problem)
    tracks = [
        Track(
            meter=meter,
            clean=image,
            lifts=drawn,
            kept=[Kept(spec, limit, aim) for spec, limit in zip(specs, row, strict=True)],
            shown=seen,
            grows=grows,
        )
        for meter, image, drawn, row, seen in zip(meters, clean, lifts, limits, shown, strict=True)
    ]
    candidates, step = taken(attack, problem, specs[0].steps), 0
    while (candidate := next(candidates, None)) is not None:
        measure(tracks, candidate, step, specs[0], names, problem)
        del candidate  # its logits need not stay in memory while the attack goes on
        tick(step)
        problem.done.update(number for number, track in enumerate(tracks) if track.finished or track.over == last)
        if len(problem.done) == len(tracks):
            break
        step += 1
    return [[outcome(track, kept) for kept in track.kept] for track in tracks]


def shown_by_image(problem: Problem) -> list[list[Labels]]:
    """Per image what every network shows on the clean one."""
    maps = [np.asarray(labels.cpu().numpy(), np.uint8) for labels in problem.shown]
    return [[labels[index] for labels in maps] for index in range(len(problem.clean))]


def outcome(track: Track, kept: Kept) -> Outcome:
    """What is saved in the end."""
    curve = () if kept.spec.within is not None else tuple(track.curve)
    image = kept.image
    return Outcome(track.clean if image is None else image, kept.step, curve)


def taken(attack: Attack, problem: Problem, steps: int) -> Iterator[Candidate]:
    """The start and as many iterates as there are steps."""
    return islice(attack.candidates(problem), steps + 1)


def measure(
    tracks: Sequence[Track], candidate: Candidate, step: int, spec: AttackSpec, names: Sequence[str], problem: Problem
) -> None:
    """Add one candidate to every unfinished image's curve, and keep it where it is the one to save.

    Raises EngineError if it is not finite: the argmax of nothing would count as the first class.
    """
    means, phi_means = mean_changes(candidate.images, problem)
    changes = [mean for number, mean in enumerate(means) if number not in problem.done]
    answers = [answer(logits) for logits in candidate.logits]
    if not (isfinite(sum(changes)) and all(finite for _, finite in answers)):
        raise EngineError(f"{spec.label} diverged at step {step}", "change its settings with --set, or report this")
    labels = [found.cpu().numpy() for found, _ in answers]
    for index, track in enumerate(tracks):
        if track.finished or track.over == candidate.restart:
            continue
        predictions: list[Labels] = [found[index] for found in labels]
        counts = {name: track.meter.count(found) for name, found in zip(names, predictions, strict=True)}
        track.curve.append(Step(means[index], phi_means[index], counts))
        if candidate.outside:
            continue
        success = success_of(track.meter, predictions, counts, problem.unaware, track.shown)
        rounded = Rounded(candidate.images[index], track, spec)
        for kept in track.kept:
            kept.offer(rounded, step, success, means[index])
        change = phi_means[index] if spec.scope == "local" else means[index]
        track.finished = spec.stop_at is not None and success >= spec.stop_at
        track.over = candidate.restart if track.beyond(change) else track.over


def success_of(
    meter: AttackMeter,
    predictions: Sequence[Labels],
    counts: Mapping[str, AttackCounts],
    unaware: Sequence[bool],
    shown: Sequence[Labels],
) -> float:
    """The success of one image, at most 1: that of the network it is smallest on.

    Where some networks are to notice nothing, it is the share of φ on which they show what they show on the clean
    image while the others are fooled, a mean over these, minus the share on which one of them notices something.

    Args:
        meter: of the image.
        predictions: per network.
        counts: per network.
        unaware: per network whether it is to notice nothing.
        shown: per network what it shows on the clean image; needed where one is to notice nothing.
    """
    if not any(unaware):
        return min((each.success or 0.0 for each in counts.values()), default=0.0)
    seen = list(zip(predictions, shown, unaware, strict=True))
    calm = np.logical_and.reduce([labels == own for labels, own, quiet in seen if quiet]) & meter.phi
    fooled = [calm & meter.goal.reached(labels, meter.clean) for labels, _, quiet in seen if not quiet]
    evaded = np.mean([np.count_nonzero(each) for each in fooled])
    return float(evaded - meter.phi_pixels + np.count_nonzero(calm)) / max(meter.phi_pixels, 1)


def mean_changes(images: Tensor, problem: Problem) -> tuple[list[float], list[float]]:
    """Per image the mean absolute change in levels, over the image and over φ; rounded to 1e-6 for stable files."""
    change = (images.detach() - problem.clean).abs_().sum(1).double()
    means, inside = change.mean((1, 2)), torch.einsum("nhw,nhw->n", change, problem.phi_weights)
    whole, part = (each.mul(LEVELS / images.shape[1]).tolist() for each in (means, inside))
    return [round(x, 6) for x in whole], [round(x, 6) for x in part]

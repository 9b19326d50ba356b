"""Runs an attack: owns steps, measuring, the best iterate, curves and early stop, for every attack alike."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from segeval.errors import EngineError
from segeval.generate.budgets import mean_change, to_bytes
from segeval.generate.problem import Attack, Candidate, Problem
from segeval.metrics import AttackMeter, Labels, Mask
from segeval.records import AttackSpec, Step

LEVELS = 255.0


@dataclass
class Kept:
    """The iterate of one image that would be saved now, by the rule of one spec.

    limit: mean change in levels that the saved image may have, None for any.   exceeded: whether the last iterate that
    was offered changed the image by more.
    """

    spec: AttackSpec
    clean: NDArray[np.uint8]
    phi: Mask
    limit: float | None
    image: NDArray[np.uint8] | None = None
    step: int = 0
    score: tuple[float, float] = (-1.0, 0.0)
    exceeded: bool = False

    def offer(self, image: Tensor, step: int, score: tuple[float, float]) -> None:
        """Keep an iterate (3, H, W) if it is the one to save."""
        if self.spec.keep == "best" and score <= self.score:
            return
        rounded = to_bytes(image, self.clean, self.spec.budget)
        change = 0.0 if self.limit is None else mean_change(rounded, self.clean, self.phi, self.spec.scope)
        self.exceeded = self.limit is not None and change > self.limit
        if not self.exceeded:
            self.image, self.step, self.score = rounded, step, score

    def outcome(self, curve: tuple[Step, ...]) -> "Outcome":
        """What is saved in the end: the clean image, where no iterate keeps the limit."""
        return Outcome(self.clean if self.image is None else self.image, self.step, curve)


@dataclass
class Track:
    """One image on its way: the curve so far, and an iterate for every spec."""

    meter: AttackMeter
    kept: list[Kept]
    curve: list[Step] = field(default_factory=list)
    finished: bool = False


@dataclass(frozen=True)
class Outcome:
    """The chosen iterate of one image, 8-bit (H, W, 3), the step it was reached after, and the whole curve."""

    image: NDArray[np.uint8]
    step: int
    curve: tuple[Step, ...]


def run_attack(
    attack: Attack,
    specs: Sequence[AttackSpec],
    problem: Problem,
    victims: Sequence[str],
    meters: Sequence[AttackMeter],
    clean: Sequence[NDArray[np.uint8]],
    limits: Sequence[Sequence[float | None]],
    tick: Callable[[int], None],
) -> list[list[Outcome]]:
    """Attack a batch; entry k of a curve is what k steps reached. Gives per image an outcome for every spec.

    specs: they differ only in which iterate they save.   victims: their names, in the order of the problem's
    segmenters.   meters, clean: per image.   limits: per image and spec, the mean change in levels that the saved
    image may have.   tick: called with the number of steps taken.
    """
    tracks = [
        Track(meter, [Kept(spec, image, meter.phi, limit) for spec, limit in zip(specs, row, strict=True)])
        for meter, image, row in zip(meters, clean, limits, strict=True)
    ]
    for step, candidate in enumerate(taken(attack, problem, specs[0].steps)):
        measure(tracks, candidate, step, specs[0], victims, problem)
        tick(step)
        if getattr(attack, "only_grows", False):
            for track in tracks:
                track.finished |= all(kept.exceeded for kept in track.kept)
        if all(track.finished for track in tracks):
            break
    return [[kept.outcome(tuple(track.curve)) for kept in track.kept] for track in tracks]


def taken(attack: Attack, problem: Problem, steps: int) -> Iterator[Candidate]:
    """The start and as many iterates as there are steps."""
    return islice(attack.candidates(problem), steps + 1)


def measure(
    tracks: Sequence[Track], candidate: Candidate, step: int, spec: AttackSpec, victims: Sequence[str], problem: Problem
) -> None:
    """Add one candidate to every unfinished image's curve, and keep it where it is the one to save.

    Raises EngineError if it is not finite: the argmax of nothing would count as the first class.
    """
    if not all(bool(each.isfinite().all()) for each in (candidate.images, *candidate.logits)):
        raise EngineError(f"{spec.label} diverged at step {step}", "change its settings with --set, or report this")
    answers = [np.asarray(logits.detach().argmax(1).cpu().numpy(), np.uint8) for logits in candidate.logits]
    means, phi_means = mean_changes(candidate.images, problem)
    for index, track in enumerate(tracks):
        if track.finished:
            continue
        predictions: list[Labels] = [answer[index] for answer in answers]
        counts = {name: track.meter.count(labels) for name, labels in zip(victims, predictions, strict=True)}
        track.curve.append(Step(means[index], phi_means[index], counts))
        success = min((each.success or 0.0 for each in counts.values()), default=0.0)
        for kept in track.kept:
            kept.offer(candidate.images[index], step, (success, -means[index]))
        track.finished = spec.stop_at is not None and success >= spec.stop_at


def mean_changes(images: Tensor, problem: Problem) -> tuple[list[float], list[float]]:
    """Per image the mean absolute change in levels, over the image and over φ; rounded to 1e-6 for stable files."""
    change = (images.detach() - problem.clean).abs().mean(1).double() * LEVELS
    inside = (change * problem.phi).flatten(1).sum(1) / problem.phi.flatten(1).sum(1).clamp(min=1)
    return [round(x, 6) for x in change.flatten(1).mean(1).tolist()], [round(x, 6) for x in inside.tolist()]

"""Runs an attack: owns steps, measuring, the best iterate, curves and early stop, for every attack alike."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from segeval.errors import EngineError
from segeval.generate.budgets import to_bytes
from segeval.generate.problem import Attack, Candidate, Problem
from segeval.metrics import AttackMeter, Labels
from segeval.records import AttackSpec, Step

LEVELS = 255.0


@dataclass
class Track:
    """One image on its way: the curve so far and the iterate that would be saved now."""

    meter: AttackMeter
    clean: NDArray[np.uint8]
    curve: list[Step] = field(default_factory=list)
    kept: NDArray[np.uint8] | None = None
    kept_step: int = 0
    kept_score: tuple[float, float] = (-1.0, 0.0)
    finished: bool = False


@dataclass(frozen=True)
class Outcome:
    """The chosen iterate of one image, 8-bit (H, W, 3), the step it was reached after, and the whole curve."""

    image: NDArray[np.uint8]
    step: int
    curve: tuple[Step, ...]


def run_attack(
    attack: Attack,
    spec: AttackSpec,
    problem: Problem,
    victims: Sequence[str],
    meters: Sequence[AttackMeter],
    clean: Sequence[NDArray[np.uint8]],
    tick: Callable[[int], None],
) -> list[Outcome]:
    """Attack a batch for `spec.steps` steps; entry k of a curve is what k steps reached.

    victims: their names, in the order of the problem's segmenters.   meters, clean: per image.
    tick: called with the number of steps taken.
    """
    tracks = [Track(meter, image) for meter, image in zip(meters, clean, strict=True)]
    for step, candidate in enumerate(taken(attack, problem, spec.steps)):
        measure(tracks, candidate, step, spec, victims, problem)
        tick(step)
        if all(track.finished for track in tracks):
            break
    return [Outcome(kept(track), track.kept_step, tuple(track.curve)) for track in tracks]


def taken(attack: Attack, problem: Problem, steps: int) -> Iterator[Candidate]:
    """The start and as many iterates as there are steps."""
    return islice(attack.candidates(problem), steps + 1)


def kept(track: Track) -> NDArray[np.uint8]:
    """The image to save."""
    assert track.kept is not None, "an attack yields at least one candidate"
    return track.kept


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
        score = (success, -means[index])
        if spec.keep == "last" or score > track.kept_score:
            track.kept = to_bytes(candidate.images[index], track.clean, spec.budget)
            track.kept_step, track.kept_score = step, score
        track.finished = spec.stop_at is not None and success >= spec.stop_at


def mean_changes(images: Tensor, problem: Problem) -> tuple[list[float], list[float]]:
    """Per image the mean absolute change in levels, over the image and over φ; rounded to 1e-6 for stable files."""
    change = (images.detach() - problem.clean).abs().mean(1).double() * LEVELS
    inside = (change * problem.phi).flatten(1).sum(1) / problem.phi.flatten(1).sum(1).clamp(min=1)
    return [round(x, 6) for x in change.flatten(1).mean(1).tolist()], [round(x, 6) for x in inside.tolist()]

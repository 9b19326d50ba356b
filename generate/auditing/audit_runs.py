"""The attacks that an audit compares, and what each of them reaches on an image."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from segeval.errors import ConfigurationError, EngineError, counted
from segeval.files.sets import MadeOn
from segeval.metrics import AttackMeter
from segeval.models import Network
from segeval.registry import ATTACKS

from ..attacks.problem import Attack, Problem
from ..attacks.specs import build_attack, parameters
from ..attacks.square import Square
from ..attacks.tanh import Tanh
from .audit_records import AuditConfig

SEARCH = "square"
QUERIES = 4
"""Queries of the search without a gradient for each step of the attack: a step costs about three."""
UNBOUNDED = Tanh(penalty=1.0, omega="balanced")
LONGER, ENOUGH = 2, 40
"""How many times the steps the attack without a bound has, and how many at least: it starts slowly."""
WIDER = (2, 4)
"""Larger budgets, in budgets."""
SCALES = (0.01, 100.0)
"""What the logits are multiplied by."""
MOST = 255


@dataclass(frozen=True)
class Run:
    """An attack with so many steps, on a network whose logits are multiplied by `scale`.

    Attributes:
        everywhere: whether it may change the whole image, whatever the scope is.
    """

    label: str
    attack: Attack
    steps: int
    scale: float = 1.0
    everywhere: bool = False

    @property
    def searches(self) -> bool:
        """Whether it takes no gradient."""
        return isinstance(self.attack, Square)


@dataclass(frozen=True)
class Reached:
    """Of one image. losses: of every iterate. success: share of φ that the best iterate hits."""

    losses: tuple[float, ...]
    success: float


@dataclass(frozen=True)
class Measured:
    """A run over all images: means."""

    run: Run
    losses: tuple[float, ...]
    success: float


class Scaled:
    """A network whose logits are multiplied by a number, which changes no prediction."""

    def __init__(self, network: Network, scale: float) -> None:
        self.spec = network.spec
        self.network, self.scale = network, scale

    def __call__(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) RGB in [0, 1] to logits (N, C, H, W)."""
        return self.scale * self.network(images)


def require_audited(attack: str) -> None:
    """Raise ConfigurationError for an attack without a budget, or without a gradient."""
    bounded = [name for name in ATTACKS if name != SEARCH and "budget" in parameters(name)]
    if attack == SEARCH or "budget" not in parameters(attack):
        lacks = "gradient" if attack == SEARCH else "budget"
        raise ConfigurationError(
            f"--attack {attack} has no {lacks}: an audit compares what a gradient finds within several budgets",
            f"choose one of {', '.join(bounded)}",
        )


def runs_of(config: AuditConfig, on: MadeOn) -> dict[str, list[Run]]:
    """The runs of every check, by its key; the attack itself is the last one of "steps"."""
    steps, budget = config.craft.steps, config.budget
    longer = max(LONGER * steps, ENOUGH)

    def made(**settings: float | str) -> Attack:
        chosen = {"budget": budget, **settings}
        return build_attack(config.attack, "default", config.craft.scopes[0], chosen, on)

    wider = [min(times * budget, MOST) for times in WIDER]
    runs = {
        "steps": [Run(counted(n, "step"), made(), n) for n in (steps // 4, steps // 2, steps)],
        "budgets": [Run(counted(each, "level"), made(budget=each), steps) for each in wider],
        "search": [Run(f"{SEARCH} with {QUERIES * steps} queries", Square(budget), QUERIES * steps)],
        "unbounded": [Run(f"tanh with {counted(longer, 'step')}", UNBOUNDED, longer, everywhere=True)],
        "scales": [Run(f"logits x {scale:g}", made(), steps, scale) for scale in SCALES],
    }
    if config.restarts and {"start", "restarts"} <= {field.name for field in fields(made())}:  # type: ignore[arg-type]
        begun = made(start="random", restarts=config.restarts - 1)
        label = f"best of {counted(config.restarts, 'random start')}"
        runs["restarts"] = [Run(label, begun, config.restarts * (steps + 1) - 1)]
    return runs


def measured(
    runs: Mapping[str, Sequence[Run]], problems: Iterable[Problem], tick: Callable[[], None]
) -> dict[str, list[Measured]]:
    """What every run reaches on images, by check.

    Args:
        runs: by check.
        problems: of one image each; all runs are done with one before the next is asked for.
        tick: called after every iterate.
    """
    found: dict[str, list[list[Reached]]] = {check: [[] for _ in own] for check, own in runs.items()}
    for problem in problems:
        for check, own in runs.items():
            for run, images in zip(own, found[check], strict=True):
                images.append(reached(run, problem, tick))
    return {check: list(map(means, own, found[check])) for check, own in runs.items()}


def means(run: Run, images: Sequence[Reached]) -> Measured:
    """Over images."""
    losses = tuple(map(fmean, zip(*(each.losses for each in images), strict=True)))
    return Measured(run, losses, fmean(each.success for each in images))


def reached(run: Run, problem: Problem, tick: Callable[[], None]) -> Reached:
    """Carry out a run on one image; everything is seen as it would be saved.

    Raises EngineError if it diverges.
    """
    networks = problem.networks if run.scale == 1 else tuple(Scaled(each, run.scale) for each in problem.networks)
    given = replace(
        problem,
        networks=networks,
        scope="full" if run.everywhere else problem.scope,
        steps=run.steps,
        dithered=True,
    )
    meter = AttackMeter(given.phi[0].cpu().numpy(), given.goal, clean=to_labels(given.predicted))
    losses, best = [], 0.0
    for candidate in islice(run.attack.candidates(given), run.steps + 1):
        if not all(bool(logits.isfinite().all()) for logits in candidate.logits):
            raise EngineError(
                f"{run.label}: the logits are no numbers any more", "audit with fewer --steps, or report this"
            )
        with torch.no_grad():
            losses.append(float(given.loss(candidate.logits)))
        if not candidate.outside:
            won = (meter.count(to_labels(logits.detach().argmax(1))).success or 0.0 for logits in candidate.logits)
            best = max(best, min(won))
        tick()
    return Reached(tuple(losses), best)


def to_labels(labels: Tensor) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    """The label map (H, W) of one image."""
    return np.asarray(labels[0].cpu().numpy(), np.uint8)

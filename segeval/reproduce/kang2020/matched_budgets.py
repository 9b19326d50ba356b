"""FGSM and the tanh method at equal perturbation: the points that were measured, and success read off between them."""

from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from typing import get_args

from segeval.evaluate.measure.bootstrap import derived
from segeval.files.experiments import LEVELS
from segeval.files.sets import AttackSpec, Scope
from segeval.progress import Progress
from segeval.reproduce.kang2020.kang2020_records import SCOPES, Budgeted, BudgetPoint, BudgetRow, Quantity
from segeval.reproduce.kang2020.parts import Sources
from segeval.reproduce.kang2020.tallies import Tally, mean_of

BUDGETED: tuple[Budgeted, ...] = get_args(Budgeted)
WHOLE_LEVELS = "a saved 8-bit image changes by whole levels"
NOT_CRAFTED = "no set with this radius"
OUTSIDE = "outside the measured range"


def measured(sources: Sources, progress: Progress) -> tuple[BudgetPoint, ...]:
    """Every point of every set but Table 1, by model, scope and attack."""
    points: list[BudgetPoint] = []
    names = [name for name in sources.manifests if name != "table1"]
    for done, name in enumerate(names):
        progress("matched budgets", done, len(names))
        points += points_of(sources, name)
    progress("matched budgets", len(names), len(names))
    models = list(dict.fromkeys(point.model for point in points))
    return tuple(
        sorted(points, key=lambda p: (models.index(p.model), SCOPES.index(p.scope), p.method, p.change.mean or 0.0))
    )


def points_of(sources: Sources, name: str) -> Iterator[BudgetPoint]:
    """The points of one set, one per attack and model."""
    tallies: dict[tuple[str, str], Tally] = {}
    for sample in sources.set(name).samples():
        for model in sample.victims:
            tallies.setdefault((sample.attack, model), Tally()).add(sample, model)
    attacks = {attack.label: attack for attack in sources.manifests[name].attacks}
    for (label, model), tally in tallies.items():
        attack = attacks[label]
        quantity, limit = limit_of(name, attack)
        changes = tally.values("mean_phi" if attack.scope == "local" else "mean")
        drawn = derived(sources.config.seed, "budget", name, label, model)
        yield BudgetPoint(
            set=name,
            attack=label,
            method="fgsm" if attack.attack == "fgsm" else "tanh",
            scope=attack.scope,
            model=model,
            quantity=quantity,
            limit=limit,
            images=len(tally.sums),
            success=tally.estimate("success", drawn),
            change=mean_of(list(changes.values()), drawn),
            linf=tally.linf,
        )


def limit_of(name: str, attack: AttackSpec) -> tuple[Quantity, float]:
    """What an attack was given.

    Args:
        name: of its set, which says it unless each of its attacks has its own.
        attack: of the set.
    """
    kind, _, number = name.partition("-")
    if kind == "penalty":
        return "penalty", float(number)
    if kind == "radius":
        return "radius", float(number)
    return ("radius", attack.budget or 0.0) if attack.within is None else ("within", attack.within)


def envelope(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The (change, success) points that no other one matches with as little change, by rising change and success."""
    upper: list[tuple[float, float]] = []
    for change, success in sorted(points, key=lambda point: (point[0], -point[1])):
        if not upper or success > upper[-1][1]:
            upper.append((change, success))
    return upper


def read_off(points: Sequence[tuple[float, float]], level: float) -> float | None:
    """Success at a change: linear between neighbours on the envelope, and level after its last point.

    None below the smallest and above the largest measured change.
    """
    if not points or not min(points)[0] <= level <= max(points)[0]:
        return None
    upper = envelope(points)
    for (left, low), (right, high) in pairwise(upper):
        if left <= level <= right:
            return low + (high - low) * (level - left) / (right - left)
    return upper[-1][1]


def places(points: Sequence[BudgetPoint]) -> list[tuple[float, float]]:
    """(change, success) of the points that have both."""
    return [
        (point.change.mean, point.success.mean)
        for point in points
        if point.change.mean is not None and point.success.mean is not None
    ]


def interpolated(points: Sequence[BudgetPoint]) -> tuple[BudgetRow, ...]:
    """Success of each attack at every level of mean change, and at every L∞ radius that was crafted."""
    models = dict.fromkeys(point.model for point in points)
    rows = []
    for model, scope, method in product(models, SCOPES, BUDGETED):
        ours = [point for point in points if (point.model, point.scope, point.method) == (model, scope, method)]
        if ours:
            rows += [at_change(ours, method, scope, model, level) for level in LEVELS]
            rows += [at_radius(ours, method, scope, model, level) for level in LEVELS]
    return tuple(rows)


def at_change(points: Sequence[BudgetPoint], method: Budgeted, scope: Scope, model: str, level: float) -> BudgetRow:
    """Success at a mean change."""
    success = read_off(places(points), level)
    return BudgetRow("mean", method, scope, model, level, success, None, None, OUTSIDE if success is None else "")


def at_radius(points: Sequence[BudgetPoint], method: Budgeted, scope: Scope, model: str, level: float) -> BudgetRow:
    """Success at an L∞ radius, as measured."""
    found = [point for point in points if point.set.startswith("radius-") and point.limit == level]
    if not found:
        reason = WHOLE_LEVELS if level < 1 else NOT_CRAFTED
        return BudgetRow("linf", method, scope, model, level, None, None, None, reason)
    success = found[0].success
    reason = "" if success.mean is not None else "no image with a source pixel"
    return BudgetRow("linf", method, scope, model, level, success.mean, success.low, success.high, reason)

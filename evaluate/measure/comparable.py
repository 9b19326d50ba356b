"""Which attacks of a set may be put together, so that the worst of them can be told for every image."""

from collections.abc import Iterable
from dataclasses import dataclass

from segeval.files.sets import AttackSpec


@dataclass(frozen=True)
class Comparable:
    """Several attacks that were allowed the same.

    Attributes:
        label: of the group, as in ``worst-full-2``.
        attacks: their labels, in the order of the set.
        spec: the first of them.
    """

    label: str
    attacks: tuple[str, ...]
    spec: AttackSpec


def comparable_attacks(attacks: Iterable[AttackSpec]) -> tuple[Comparable, ...]:
    """Every group of two attacks and more of one scope, one budget and one origin.

    An attack that may change the image by more is no worse for that, so budgets are not mixed: neither L-infinity radii
    nor the mean changes of ``--within`` and ``--match``. Unbounded attacks have nothing in common, and are in no group.
    What an attack was made on, the network or which files, is its origin.
    """
    groups: dict[str, list[AttackSpec]] = {}
    for spec in attacks:
        if limits := limits_of(spec):
            groups.setdefault("-".join(["worst", spec.scope, *limits]) + spec.made_on, []).append(spec)
    return tuple(
        Comparable(label, tuple(spec.label for spec in group), group[0])
        for label, group in groups.items()
        if len(group) > 1
    )


def limits_of(spec: AttackSpec) -> list[str]:
    """What an attack was allowed, in words of a label; empty for an unbounded one."""
    budget = [] if spec.budget is None else [f"{spec.budget:g}"]
    within = [] if spec.within is None else [f"within-{spec.within:g}"]
    match = [f"as-{spec.match.removesuffix(spec.made_on)}"] if spec.match else []
    return [*budget, *within, *match]

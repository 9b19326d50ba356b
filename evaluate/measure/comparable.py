"""Which attacks of a set may be compared, so that the worst of them can be chosen for every image."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

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
    nor the mean changes of ``--within`` and ``--match``. Unbounded attacks have no budget in common, and are in no
    group. What an attack was made on, and what it was made to survive, is its origin.
    """
    groups: dict[str, list[AttackSpec]] = {}
    for spec in attacks:
        if spec.budget is not None or spec.within is not None or spec.match:
            groups.setdefault(group_label(spec), []).append(spec)
    return tuple(
        Comparable(label, tuple(spec.label for spec in group), group[0])
        for label, group in groups.items()
        if len(group) > 1
    )


def group_label(spec: AttackSpec) -> str:
    """The label of an attack without its name and preset, and with its budget: ``worst-full-2-on-int8``."""
    budget = "default" if spec.budget is None else f"{spec.budget:g}"
    match = f"-as-{spec.match}" if spec.match else ""
    return replace(spec, attack="worst", preset=budget, match="").label + match

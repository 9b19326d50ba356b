"""The signs of a gradient that hides something (Athalye et al., arXiv:1802.00420; Carlini et al., arXiv:1902.06705)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from segeval.errors import counted

from .audit_records import Check, Found
from .audit_runs import Measured

TOLERANCE = 0.005
"""Share of φ by which success may fall and count as equal."""
OTHER_START = 0.05
"""The same for random starts. Measured on networks that mask nothing: 0.046 less to 0.04 more."""
ALL = 0.99
"""Share of φ from which on an attack counts as having won all of it."""
RESCALED = 0.05
"""Share of φ by which success may rise when logits are scaled. Measured on networks that mask nothing: up to 0.005."""


def checks_of(found: Mapping[str, Sequence[Measured]], budget: int) -> tuple[Check, ...]:
    """Every check but that of `gradient`, from what the runs of `audit_runs.runs_of` reached within a budget."""
    itself = found["steps"][-1]
    return (
        falling_loss(itself),
        never_weaker("more steps", found["steps"], "more steps weaken the attack"),
        random_starts(itself, found.get("restarts", ())),
        never_weaker(
            "larger budgets",
            (within(budget, itself), *found["budgets"]),
            "a larger budget weakens the attack",
        ),
        search(itself, found["search"][0]),
        unbounded(found["unbounded"][0]),
        scales(itself, found["scales"]),
    )


def check(name: str, found: Sequence[Found], sign: bool, told: str) -> Check:
    """A check that was made."""
    return Check(name, tuple(found), "sign" if sign else "ok", told if sign else "")


def success(run: Measured, label: str = "") -> Found:
    """What a run won, under its own label or another one."""
    return Found(label or run.run.label, run.success)


def within(budget: int, run: Measured) -> Measured:
    """A run that is told by its budget first, for comparing it with others that have more."""
    return replace(run, run=replace(run.run, label=f"{counted(budget, 'level')}, {run.run.label}"))


def gradient(images: int, flat: int) -> Check:
    """Whether there is one to follow.

    Args:
        images: how many there are.
        flat: on how many the gradient is zero at the clean image.
    """
    told = "the gradient is zero: an attack has nothing to follow"
    return check("gradient", [Found("images", images), Found("of them with a zero gradient", flat)], flat > 0, told)


def falling_loss(itself: Measured) -> Check:
    """Whether the loss falls from its start to its end, and rises in half of the steps at most."""
    losses = itself.losses
    rises = sum(later > earlier for earlier, later in pairwise(losses)) / (len(losses) - 1)
    found = [Found("start", losses[0]), Found("end", losses[-1]), Found("share of steps that raise it", rises)]
    return check(
        "loss falls", found, losses[-1] >= losses[0] or rises > 0.5, "the loss does not fall along the gradient"
    )


def never_weaker(name: str, runs: Sequence[Measured], told: str) -> Check:
    """Whether success never falls from one run to the next, each of which has more of something.

    Args:
        name: of the check.
        runs: in order.
        told: what it means if it does fall.
    """
    weaker = any(later.success < earlier.success - TOLERANCE for earlier, later in pairwise(runs))
    return check(name, list(map(success, runs)), weaker, told)


def random_starts(itself: Measured, begun: Sequence[Measured]) -> Check:
    """Whether the attack finds as much from random images as it does from where it usually begins.

    Args:
        itself: the attack as it is.
        begun: the same from random images, empty if that was not done.
    """
    if not begun:
        return Check("random starts", (), "not checked", "the attack has no restarts, or --restarts is 0")
    weaker = begun[0].success < itself.success - OTHER_START
    told = "random starts are weaker than the usual one"
    return check("random starts", [success(itself), success(begun[0])], weaker, told)


def search(itself: Measured, searched: Measured) -> Check:
    """Whether a search without a gradient finds less. Where the attack wins all there is nothing to compare.

    Args:
        itself: the attack.
        searched: the search.
    """
    found = [success(itself), success(searched)]
    told = "a search without a gradient finds as much"
    return check("search without a gradient", found, itself.success < ALL and searched.success >= itself.success, told)


def unbounded(free: Measured) -> Check:
    """Whether an attack without a bound wins everything."""
    return check("no bound", [success(free)], free.success < ALL, "an attack without a bound does not win all of φ")


def scales(itself: Measured, scaled: Sequence[Measured]) -> Check:
    """Whether the attack stays as weak when logits are scaled, which changes no prediction.

    A scale that weakens it is no sign: the softmax then weighs pixels less well. One that makes it stronger is: the
    loss was saturated (Carlini and Wagner 2016, arXiv:1607.04311) or flat, and success was lost to that.

    Args:
        itself: the attack on the logits as it sees them.
        scaled: on scaled ones.
    """
    stronger = max(each.success for each in scaled) > itself.success + RESCALED
    told = "the attack is stronger on scaled logits: its loss is saturated or flat"
    return check("scale of the logits", [success(itself, "as they are"), *map(success, scaled)], stronger, told)

"""How two runs differ beside their labels: what a difference may come from."""

from collections.abc import Iterator, Sequence

from segeval.errors import some
from segeval.files.sets import AttackSpec, ModelRecord

from ..measure.report_records import EngineSummary
from .compare_matching import Pair
from .runs import OpenRun

Condition = tuple[str, str, str]
"""What differs, and how it was in A and in B."""


def told_of_conditions(a: OpenRun, b: OpenRun, pairs: Sequence[Pair]) -> str:
    """Sentences on what differs in networks, attacks and how engines ran; empty if nothing does that the reports tell.

    Args:
        a: the first run.
        b: the second.
        pairs: engines that are compared.
    """
    ran = (
        condition
        for one, other in pairs
        for condition in zip_conditions(conditions(a, one), conditions(b, other), one.precision)
    )
    found = dict.fromkeys([*limits(a.report.set.attacks, b.report.set.attacks), *ran])
    sentences = list(other_weights(a.report.set.models, b.report.set.models))
    if found:
        told = ", ".join(f"{what} {before} → {after}".lstrip() for what, before, after in found)
        sentences.append(f"The runs differ in: {told}; differences below may come from these.")
    return " ".join(sentences)


def other_weights(a: Sequence[ModelRecord], b: Sequence[ModelRecord]) -> Iterator[str]:
    """Which networks of the same name are not the same."""
    before = {model.name: model.weights_sha256 for model in a}
    changed = [model.name for model in b if before.get(model.name, model.weights_sha256) != model.weights_sha256]
    if changed:
        verb = "has" if len(changed) == 1 else "have"
        yield f"{some(changed, 3)} {verb} other weights in B: differences below may come from the network."


def limits(a: Sequence[AttackSpec], b: Sequence[AttackSpec]) -> Iterator[Condition]:
    """Which budgets and steps differ between attacks of the same name, and of which attacks."""
    others = {spec.label: spec for spec in b}
    common = [(spec, others[spec.label]) for spec in a if spec.label in others]
    for what, of in (("budget", budget_of), ("steps", steps_of)):
        named: dict[tuple[str, str], list[str]] = {}
        for one, other in common:
            if of(one) != of(other):
                named.setdefault((of(one), of(other)), []).append(one.label)
        for (before, after), labels in named.items():
            yield f"{what} of {some(labels, 3)}", before, after


def budget_of(spec: AttackSpec) -> str:
    """In levels, or that there is none."""
    return "none" if spec.budget is None else f"{spec.budget:g}"


def steps_of(spec: AttackSpec) -> str:
    """How many."""
    return str(spec.steps)


def conditions(run: OpenRun, engine: EngineSummary) -> dict[str, str]:
    """How an engine ran, by what it is called; empty for what its report does not tell."""
    there = run.report.replays[engine.replay].environment
    return {
        "device": there.name,
        "Jetson Linux": there.device.get("jetson_linux", ""),
        "power mode": engine.power_mode,
        "threads": str(there.threads),
        "": f"{engine.backend} {engine.backend_version}",
        "arithmetic of": engine.arithmetic,
    }


def zip_conditions(a: dict[str, str], b: dict[str, str], precision: str) -> Iterator[Condition]:
    """What both reports tell and tell differently. precision: of the engines."""
    for what, before in a.items():
        after = b[what]
        if before and after and before != after:
            named = f"{what} {precision}:" if what == "arithmetic of" else what
            same_engine = not what and before.rpartition(" ")[0] == after.rpartition(" ")[0]
            yield named, before, after.rpartition(" ")[2] if same_engine else after

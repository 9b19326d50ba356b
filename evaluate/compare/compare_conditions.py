"""How two runs differ beside their labels: what a difference may come from."""

from collections.abc import Iterator, Sequence

from segeval.errors import some
from segeval.files.engine_records import Calibration
from segeval.files.sets import AttackSpec, ModelRecord, Setting

from ..measure.report_records import EngineSummary, SetSummary
from .compare_matching import Pair
from .runs import OpenRun

Condition = tuple[str, str, str]
"""What differs, and how it was in A and in B."""


def told_of_conditions(a: OpenRun, b: OpenRun, pairs: Sequence[Pair]) -> str:
    """Sentences on what differs in networks, images, attacks, calibrations and how engines ran.

    Empty if nothing does that the reports tell.

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
    quantized = (condition for one, other in pairs for condition in calibrations(one, other))
    one, other = a.report.set, b.report.set
    found = dict.fromkeys([*images(one, other), *settings(one.attacks, other.attacks), *quantized, *ran])
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


def images(a: SetSummary, b: SetSummary) -> Iterator[Condition]:
    """Whether the images are of another dataset or size."""
    if a.config.dataset != b.config.dataset:
        yield "dataset", a.config.dataset, b.config.dataset
    if (a.height, a.width) != (b.height, b.width):
        yield "image size", f"{a.height}×{a.width}", f"{b.height}×{b.width}"


def settings(a: Sequence[AttackSpec], b: Sequence[AttackSpec]) -> Iterator[Condition]:
    """Which settings differ between attacks of the same name, and of which attacks."""
    others = {spec.label: settings_of(spec) for spec in b}
    named: dict[Condition, list[str]] = {}
    for spec in a:
        mine, theirs = settings_of(spec), others.get(spec.label, {})
        for what in mine.keys() & theirs.keys():
            if mine[what] != theirs[what]:
                named.setdefault((what, mine[what], theirs[what]), []).append(spec.label)
    for (what, before, after), labels in sorted(named.items()):
        yield f"{what} of {some(labels, 3)}", before, after


def settings_of(spec: AttackSpec) -> dict[str, str]:
    """What an attack was told, as texts by name."""
    told = {**spec.parameters, "budget": spec.budget, "steps": spec.steps, "keep": spec.keep, "stop-at": spec.stop_at}
    return {what: text_of(value) for what, value in told.items()}


def text_of(value: Setting) -> str:
    """A setting in a sentence."""
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value)


def calibrations(a: EngineSummary, b: EngineSummary) -> Iterator[Condition]:
    """How the calibrations of two engines differ, where both are known."""
    one, other = a.calibration, b.calibration
    if one is None or other is None:
        return
    mine, theirs = calibration_of(one), calibration_of(other)
    first, second = ({image.sha256 for image in each.images} for each in (one, other))
    if len(first) == len(second) and first != second:
        theirs["images"] = f"{theirs['images']} others"
    for what, before in mine.items():
        if before != theirs[what]:
            yield f"{what} of the {a.kind} calibration", before, theirs[what]


def calibration_of(calibration: Calibration) -> dict[str, str]:
    """How ranges were found, and for what, as texts by the names that `segeval deploy` has for it."""
    percentile = "" if calibration.percentile is None else f" {calibration.percentile:g}"
    return {
        "method": f"{calibration.method}{percentile}",
        "images": str(len(calibration.images)),
        "ops": "+".join(calibration.op_types),
        "weights": "per-channel" if calibration.per_channel else "per-tensor",
        "activations": calibration.activations,
        "placement": calibration.placement,
    }


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

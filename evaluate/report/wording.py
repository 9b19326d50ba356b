"""How attacks are called and numbers written, the same in the verdict, the terminal and the report."""

import re
from collections.abc import Iterable, Sequence

from segeval.console import visible
from segeval.errors import counted
from segeval.files.sets import AttackSpec, CraftConfig

from ..measure.estimate_records import Estimate
from ..measure.paired_records import Paired
from ..measure.report_records import SurvivalReport, SurvivalRow
from ..measure.row_key import Keyed, RowKey

COMPUTED_BY = {
    "graph": "PyTorch from their graphs",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "tensorrt": "TensorRT",
}
"""What computes the logits of deployed files while they are attacked, by `CraftConfig.forward`."""


QUANTITIES = {"survival": "survival", "engine_success": "success", "engine_accuracy": "source accuracy"}
"""What the compared columns of a survival row are called."""


BEHIND = "n: images behind survival, as in 2 of 3 where some were left out."
"""What `images_behind` shows, for a caption."""


def quantity_name(column: str) -> str:
    """A compared column of a survival row in words."""
    return QUANTITIES.get(column, column.replace("_", " "))


def counted_images(number: int) -> str:
    """``1 image``, ``2 images``."""
    return counted(number, "image")


def attack_name(key: RowKey) -> str:
    """An attack as a model sees it: ``tanh-full``; ``tanh-full, joint`` if it was made for this model and others;
    ``tanh-full for A`` if it was made for others alone.
    """
    if key.alone:
        return key.attack
    return f"{key.attack}, joint" if key.own else f"{key.attack} for {all_victims(key.victims)}"


def task_named(name: str, row: Keyed, report: SurvivalReport) -> str:
    """The name of a row's attack, with its task where that tells it from others."""
    return name if row.task is None or len(report.set.tasks) < 2 else f"{name} {row.task}"


def attack_limits(spec: AttackSpec) -> str:
    """What an attack was allowed: ``2 levels, 10 steps``; no steps of a pattern, which takes none."""
    steps = counted(spec.steps, "step") if spec.steps else ""
    return ", ".join(filter(None, [levels(spec.budget), steps]))


def levels(budget: float | None) -> str:
    """``2 levels``; nothing for no budget."""
    return "" if budget is None else f"{budget:g} level{'' if budget == 1 else 's'}"


def all_victims(victims: Sequence[str]) -> str:
    """Whom images were made for: ``A``, ``A + B``."""
    return " + ".join(victims)


def as_desktop_words(engines: Sequence[str]) -> str:
    """``fp32 and fp16 show what the desktop shows.``"""
    *first, last = engines
    names = f"{', '.join(first)} and {last}" if first else last
    return f"{names} show{'' if first else 's'} what the desktop shows."


def stacked(name: str) -> str:
    """A name broken after its hyphens and commas, for the narrow columns of a terminal; safe to be shown there."""
    return re.sub(r"([-,]) ?", r"\1\n", visible(name))


def percent(share: float | None) -> str:
    """A share as a percentage without its sign: 41; 0.4 and 99.8 where rounding would claim none or all."""
    if share is None:
        return "–"
    if 0 < share < 0.005 or 0.995 < share < 1:
        return f"{min(max(100 * share, 0.1), 99.9):.1f}"
    return f"{100 * share:.0f}"


def decimals(share: float | None) -> str:
    """A share with two decimals, or three where two would hide it; a dash for None."""
    if share is None:
        return "–"
    if 0 < share < 0.0005:
        return "<0.001"
    return f"{share:.3f}" if 0 < share < 0.0095 else f"{share:.2f}"


def with_interval(estimate: Estimate) -> str:
    """``41 % [35, 47]``; the number of images where there is no interval, as in ``100 % (4 images)``."""
    if estimate.mean is None:
        return "–"
    if estimate.low is None:
        return f"{percent(estimate.mean)} % ({counted_images(estimate.images)})"
    return f"{percent(estimate.mean)} % [{percent(estimate.low)}, {percent(estimate.high)}]"


def stated_perturbation(row: SurvivalRow) -> float:
    """Perturbation per pixel in 0–255 levels as the paper states it: over φ for local attacks, else over the image."""
    return row.perturbation.mean_phi if row.scope == "local" else row.perturbation.mean


def images_behind(estimates: Iterable[Estimate]) -> str:
    """Images that entered: ``20``; ``18 of 20`` where some were left out, ``18–20 of 20`` where that differs."""
    known = list(estimates)
    if not known:
        return "–"
    entered = span([estimate.images for estimate in known])
    total = span([estimate.images + estimate.left_out for estimate in known])
    return f"{entered} of {total}" if any(estimate.left_out for estimate in known) else entered


def span(numbers: Sequence[int]) -> str:
    """``18–20``, or the number if all are the same."""
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low}–{high}"


def points(difference: float | None) -> str:
    """A difference of two shares in points of 100, with its sign and one decimal; a dash for None."""
    return signed(None if difference is None else 100 * difference, 1)


def signed(difference: float | None, digits: int = 3) -> str:
    """A difference with its sign; a dash for None."""
    if difference is None:
        return "–"
    text = f"{abs(difference):.{digits}f}"
    return text if float(text) == 0 else f"{'−' if difference < 0 else '+'}{text}"


def signed_interval(paired: Paired) -> str:
    """``[−0.092, +0.013]``, or nothing where there is no interval."""
    return "" if paired.low is None else f"[{signed(paired.low)}, {signed(paired.high)}]"


def attacked_files(config: CraftConfig) -> str:
    """What computed the logits of the deployed files that attacks were made on."""
    computed = COMPUTED_BY[config.forward]
    return f"Logits of the files were computed by {computed} in every step (--forward {config.forward})."


def without_gap(float_crafted: bool) -> str:
    """What is to be done where an adaptive gap lacks the attack on the float network: it was not made, or not replayed.

    Args:
        float_crafted: whether the set has that attack.
    """
    return "replay the same attack made on the float network too" if float_crafted else "craft with --on fp32 too"


def p_value(p: float | None) -> str:
    """A p-value with two significant digits, nothing below 0.001 told apart; a dash where nothing was tested."""
    if p is None:
        return "–"
    return "<0.001" if p < 0.001 else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def p_in_words(p: float | None) -> str:
    """A p-value inside a sentence: ``p = 0.011``, ``p < 0.001``."""
    text = p_value(p)
    return f"p {text[0]} {text[1:]}" if text.startswith("<") else f"p = {text}"

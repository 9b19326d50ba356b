"""The finding in one sentence that needs no statistics: what the attack does, and what deployment changes of it."""

from collections.abc import Sequence

from segeval.files.sets import AttackSpec
from segeval.stronger import FAILED

from ..measure.bootstrap import FEWEST_FOR_INTERVAL
from ..measure.decisive import added, failed
from ..measure.estimate_records import Estimate
from ..measure.report_records import CleanRow, SurvivalRow
from .wording import attack_limits, attack_name, counted_images, percent

FEW_IMAGES = 10
"""Below it an interval is rough."""
WIDE = 0.4
"""Width of an interval from which on nothing is said about how much protects."""
LEAST_EQUAL = 0.8
"""Share of the labels of clean images that are those of the desktop; below it an engine is doubted."""
EFFECTS = (
    (0.8, "{what} does not protect {model}", "{what} did not protect {model}"),
    (
        0.5,
        "{what} weakens the attack on {model}, but does not stop it",
        "{what} weakened the attack on {model}, but did not stop it",
    ),
    (
        0.2,
        "{what} removes most of the attack on {model}, but not all of it",
        "{what} removed most of the attack on {model}, but not all of it",
    ),
    (
        0.0,
        "{what} removes nearly all that this attack does to {model}",
        "{what} removed nearly all that this attack did to {model}",
    ),
)
"""What deployment does, by the least share that survives; and what it did, in few images."""
SPOKEN = {"vru": "road user", "any": ""}
"""Parts of the names of tasks that are no words."""


def plain_sentence(
    row: SurvivalRow, strongest: bool, clean: CleanRow | None, attacks: Sequence[AttackSpec] = ()
) -> str:
    """What an attack does on the desktop, how much of it an engine shows too, and what that means.

    Args:
        row: that the report begins with.
        strongest: whether it is one of several attacks.
        clean: the engine on clean images, if known.
        attacks: of the set, with what they were allowed.
    """
    pixels, into, still = spoken_task(row.task)
    success, where = with_certainty(row.desktop_success)
    limits = next((attack_limits(spec) for spec in attacks if spec.label == row.attack), "")
    named = ", ".join(filter(None, [attack_name(row.key), limits]))
    if failed(row):
        brackets = f" ({limits})" if limits else ""
        return (
            f"The {'strongest ' if strongest else ''}attack failed: {attack_name(row.key)}{brackets} turned only "
            f"{percent(row.desktop_success.mean)} % of "
            f"the {pixels} of {row.model}{where} {into} on the desktop, so how much of that survives says little."
        )
    name = f"{'strongest ' if strongest else ''}attack on {row.model} ({named})"
    return (
        f"The {name} turned {success} of the {pixels}{where} {into} on the desktop; on {on_engine(row)}, "
        f"{percent(row.survival.mean)} % of these are still {still}{certainty(row.survival)}: {effect(row, clean)}."
    )


def spoken_task(task: str | None) -> tuple[str, str, str]:
    """``vehicle pixels``, ``into road`` and ``road`` of vehicle-to-road. None: all tasks together."""
    source, _, target = (task or "").rpartition("-to-")
    lost = (task or "").removesuffix("-lost")
    if source:
        return f"{spoken(source)}pixels", f"into {target}", target
    if task and lost != task:
        return f"{spoken(lost)}pixels", "into something else", "something else"
    if task == "untargeted":
        return "pixels", "into a wrong class", "wrong"
    return "attacked pixels", "into what it wanted", "so"


def spoken(source: str) -> str:
    """``car and truck `` of car+truck."""
    words = " and ".join(SPOKEN.get(part, part) for part in source.split("+"))
    return f"{words} " if words else ""


def on_engine(row: SurvivalRow) -> str:
    """``int8``, or the file that the user brought."""
    return f"your own {row.own!r}" if row.own else row.precision


def with_certainty(success: Estimate) -> tuple[str, str]:
    """``80 % (between 72 and 86 %)``; of few images ``80 %``, and in how many that is."""
    share = f"{percent(success.mean)} %"
    if success.images < FEW_IMAGES:
        return share, f" in {counted_images(success.images)}"
    if success.low is None or success.high is None or approximately(success.low) == approximately(success.high):
        return share, ""
    return f"{share} (between {approximately(success.low)} and {approximately(success.high)} %)", ""


def certainty(survival: Estimate) -> str:
    """The interval in words; without one, why there is none."""
    if survival.images < FEWEST_FOR_INTERVAL:
        return f" ({counted_images(survival.images)}: too few to tell how sure that is)"
    if survival.low is None or survival.high is None:
        return f" (on each of the {survival.images} images)"
    low, high = approximately(survival.low), approximately(survival.high)
    roughly = "roughly " if survival.images < FEW_IMAGES else ""
    if low == high:
        return f" ({roughly}to within one percent for images like these)"
    return f" ({roughly}between {low} and {high} % for images like these)"


def approximately(share: float) -> str:
    """A share in whole percent; in words where rounding would claim none or all."""
    if 0 < share < 0.005 or 0.995 < share < 1:
        return "nearly 0" if share < 0.5 else "nearly 100"
    return percent(share)


def effect(row: SurvivalRow, clean: CleanRow | None) -> str:
    """What deployment does for the network, and what else a reader has to know before believing it."""
    survival = row.survival
    if clean is not None and clean.equal is not None and clean.equal < LEAST_EQUAL:
        return (
            f"but on clean images it gives only {percent(clean.equal)} % of the labels that the desktop gives, "
            f"so it rather damages {row.model} than protects it"
        )
    if survival.low is not None and survival.high is not None and survival.high - survival.low > WIDE:
        return f"from {counted_images(survival.images)} it cannot be told how much {means(row)} protects {row.model}"
    does, did = next(words for least, *words in EFFECTS if (survival.mean or 0.0) >= least)
    few = survival.images < FEW_IMAGES
    said = (did if few else does).format(what=means(row), model=row.model)
    if few:
        said = f"in {'this image' if survival.images == 1 else f'these {survival.images} images'} {said}"
    more = f", and {'turned' if few else 'turns'} {percent(added(row))} % more by itself"
    return said + more if added(row) >= FAILED else said


def means(row: SurvivalRow) -> str:
    """What was done to the network."""
    if row.own:
        return repr(row.own)
    return {"fp32": "deployment", "fp16": "half precision"}.get(row.precision, "quantization")

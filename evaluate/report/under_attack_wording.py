"""Accuracy and mIoU under attack in words."""

from collections.abc import Collection, Iterable

from ..measure.under_attack_reading import leading
from ..measure.under_attack_records import AttackedRow
from .wording import attack_name, decimals, levels, percent, with_interval

SCOPES = {"full": "the whole image", "local": "φ alone"}


def row_name(row: AttackedRow) -> str:
    """An attack as in every table, ``cospgd-full``; ``worst of 3 attacks, full, 2 levels`` for several."""
    name = attack_name(row.key)
    if not row.is_worst:
        return name
    budget = "" if row.budget is None else f"-{row.budget:g}"
    others = row.attack.removeprefix(f"worst-{row.scope}{budget}").removeprefix("-")
    parts = (f"worst of {len(row.attacks)} attacks", row.scope, levels(row.budget), others)
    return ", ".join(filter(None, parts)) + name.removeprefix(row.attack)


def chosen_most(row: AttackedRow) -> tuple[str, int]:
    """The attack that is the worst of its group most often, and on how many samples."""
    count, attack = max(zip(row.chosen, row.attacks, strict=True), key=lambda found: found[0])
    return attack, count


def worst_sentences(rows: Iterable[AttackedRow], on_files: Collection[str]) -> tuple[str, ...]:
    """What the worst of several attacks does to the coarsest engine; nothing where no attacks can be compared.

    Args:
        rows: of a report.
        on_files: labels of the attacks that were made on deployed files.
    """
    row = leading(rows, on_files)
    if row is None:
        return ()
    limit = levels(row.budget) and f" within {levels(row.budget)}"
    first = (
        f"Under the worst of {len(row.attacks)} attacks on {SCOPES[row.scope]}{limit}, chosen for every image, "
        f"{row.engine} predicts {with_interval(row.success)} of the attacked pixels as the attack wants"
    )
    attack, count = chosen_most(row)
    most = f"{attack} was the worst on {count} of {sum(row.chosen)} samples."
    if row.attacked.pixel_accuracy is None:
        return (f"{first}.", most)
    right = "are right" if row.against == "ground truth" else "keep the label that the desktop gives the clean image"
    seen = (
        f"{percent(row.attacked.pixel_accuracy)} % of all pixels {right}, "
        f"{percent(row.clean.pixel_accuracy)} % without an attack, and mIoU is "
        f"{decimals(row.attacked.miou)} instead of {decimals(row.clean.miou)}"
    )
    return (f"{first}; {seen}.", most)


def compared_with(rows: Iterable[AttackedRow]) -> str:
    """What the labels of these rows were compared with."""
    against = dict.fromkeys(row.against for row in rows)
    if set(against) == {"ground truth"}:
        return "Against the ground truth."
    clean = "the desktop's labels of the clean image, since there is no ground truth"
    return f"Against {clean}." if set(against) == {"clean prediction"} else f"Against the ground truth, or {clean}."

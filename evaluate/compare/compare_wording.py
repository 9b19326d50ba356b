"""How a change between two runs is written, the same in the terminal and in Markdown."""

from collections.abc import Sequence

from segeval.errors import counted, some

from ..measure.row_key import within_model
from ..measure.within_noise import floor_cell, floor_percent
from ..report.wording import attack_name, decimals, p_in_words, p_value, quantity_name, signed, signed_interval
from .compare_records import Change, CleanChange, Run, RunComparison

HEADINGS = ("attack", "engine", "what", "A", "B", "B − A", "95 %", "noise %", "p", "n")
CLEAN_HEADINGS = ("engine", "mIoU A", "mIoU B", "B − A", "noise %", "p50 ms A", "p50 ms B")
MOST_OTHERS = 12
"""Changes that are shown although they may be chance."""


def engine_name(change: Change | CleanChange, alone: bool = False) -> str:
    """An engine by its names in both runs. alone: whether there is no other model, so that engines need not name it."""
    a, b = (within_model(each, change.model) if alone else each for each in (change.a_engine, change.b_engine))
    return a if a == b else f"{a} | {b}"


def changed_attack(change: Change) -> str:
    """Attack, its victims if they were others than the network, and its task."""
    return attack_name(change.key) + (f" {change.task}" if change.task else "")


def cells(change: Change, alone: bool = False) -> tuple[str, ...]:
    """A change under `HEADINGS`. alone: as of `engine_name`."""
    paired = change.paired
    return (
        changed_attack(change),
        engine_name(change, alone),
        quantity_name(change.quantity),
        decimals(paired.first),
        decimals(paired.second),
        signed(paired.difference),
        signed_interval(paired),
        floor_cell(paired.difference, change.noise_floor),
        p_value(change.p_holm),
        str(paired.images),
    )


def clean_cells(row: CleanChange, alone: bool = False) -> tuple[str, ...]:
    """An engine under `CLEAN_HEADINGS`. alone: as of `engine_name`."""
    times = ("–" if value is None else f"{value:.2f}" for value in (row.a_p50_ms, row.b_p50_ms))
    return (
        engine_name(row, alone),
        decimals(row.a_miou),
        decimals(row.b_miou),
        signed(row.miou_difference),
        floor_percent(row.noise_floor),
        *times,
    )


def shown(changes: Sequence[Change]) -> list[Change]:
    """All significant changes, and the largest of the others."""
    significant = [change for change in changes if change.significant]
    others = [change for change in changes if not change.significant and change.paired.difference]
    return significant + others[:MOST_OTHERS]


def rest_line(changes: Sequence[Change]) -> str:
    """Says how many changes are not shown; empty if all are."""
    rest = len(changes) - len(shown(changes))
    if rest == len(changes):
        return ""
    same = sum(not change.paired.difference for change in changes)
    others = f"{rest - same} more are not significant or of single tasks" if rest > same else ""
    equal = f"{same} {'quantity has' if same == 1 else 'quantities have'} the same mean in both runs" if same else ""
    return "; ".join(part for part in (equal, others) if part)


def change_sentence(change: Change) -> str:
    """The largest change in words."""
    paired = change.paired
    noise = f" It is within the noise floor ({floor_percent(change.noise_floor)} %)." if change.within_noise else ""
    first = "The largest" if change.significant else "The largest, which may be chance"
    by = f"{signed(paired.difference)} {signed_interval(paired)}".rstrip()
    return (
        f"{first}: {quantity_name(change.quantity)} of {changed_attack(change)} on "
        f"{engine_name(change)} goes from {decimals(paired.first)} to "
        f"{decimals(paired.second)}, {by}, {p_in_words(change.p_holm)}.{noise}"
    )


def run_line(letter: str, run: Run) -> str:
    """Which run this is."""
    where = "; ".join((", ".join(run.machines), ", ".join(run.backends)))
    return f"{letter}: {run.name} ({counted(run.images, 'image')}; {where}; set {run.set_sha256[:12]})"


def only_lines(comparison: RunComparison) -> list[str]:
    """What only one of the runs has."""
    lines = []
    for letter, run in (("A", comparison.a), ("B", comparison.b)):
        for what in ("engine", "attack", "task", "image"):
            names: tuple[str, ...] = getattr(run.only, f"{what}s")
            if names:
                lines.append(f"only in {letter}: {counted(len(names), what)}: {some(names)}")
    return lines

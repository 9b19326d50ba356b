"""The survival table for a terminal, that of the corruptions, and the differences that are more than chance."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from segeval.stronger import FAILED

from ..measure.comparisons import undecidable
from ..measure.corruption_tables import corruption_tables
from ..measure.decisive import told_survival
from ..measure.report_records import Comparison, SurvivalReport, SurvivalRow
from ..measure.report_rows import ReportRows
from ..measure.row_key import RowKey, within_model
from ..measure.within_noise import floor_cell, floor_percent, noise_floor
from .plain_table import as_shown, plain_table
from .wording import (
    attack_name,
    decimals,
    images_behind,
    p_value,
    percent,
    quantity_name,
    signed,
    signed_interval,
    stacked,
    stated_perturbation,
    with_interval,
)

CAPTION = (
    "Means over images, 95 % intervals. survived: – of an attack that reached less than "
    f"{percent(FAILED)} % on the desktop. clean: what the engine shows as the adversarial class on the clean image "
    "already. levels: mean change per pixel of 255, over φ for local attacks."
)

ON_FILES = "Survival is only of attacks made on the network; those made on deployed files have a table of their own."

CORRUPTION_CAPTION = (
    "Percent that survived of what an attack achieved on the desktop, where no image goes through a corruption; means "
    "over images. fp32 shows what the corruption alone destroys. mIoU and labels equal to the desktop's: on clean "
    "images. n: images behind survival, of those attacked if it is fewer."
)


def survival_table(report: SurvivalReport) -> Table:
    """One line per attack and engine, all tasks together: success on the desktop and on the engine, and survival.

    Names are shown as they are: nothing in them is taken for markup.
    """
    shipping = ReportRows.of(report).as_shipped
    rows, on_files = shipping.together, shipping.on_files
    models = list(dict.fromkeys(row.model for row in rows))
    tasks = ", ".join(task.name for task in report.set.tasks)
    caption = f"{CAPTION} {ON_FILES}" if on_files else CAPTION
    table = plain_table(f"Survival of the attacks on {', '.join(models)} ({tasks})", caption)
    for heading in ("attack", "engine"):
        table.add_column(heading, overflow="fold")
    for heading in ("desktop", "engine", "survived %", "clean", "levels", "n"):
        table.add_column(heading, justify="right", no_wrap=True)
    before: RowKey | None = None
    for row in rows:
        group = row.key.over_engines()
        if before and group != before:
            table.add_section()
        attack = _attack(row, report) if group != before else ""
        engine = row.engine if len(models) > 1 else within_model(row.engine, row.model)
        table.add_row(*map(as_shown, (attack, engine, *_numbers(row, row.attack in on_files))))
        before = group
    return table


def _attack(row: SurvivalRow, report: SurvivalReport) -> str:
    """The attack, with what tells its row from another of the same attack."""
    several_tasks = row.task is not None and len(report.set.tasks) > 1
    return attack_name(row.key) + (f" {row.task}" if several_tasks else "")


def _numbers(row: SurvivalRow, on_files: bool) -> tuple[str, ...]:
    """on_files: whether the attack was made on deployed files, so that there is no survival to tell."""
    told = told_survival(row)
    survival = percent(told.mean) if told.low is None else with_interval(told).replace(" %", "")
    return (
        decimals(row.desktop_success.mean),
        decimals(row.engine_success.mean),
        "–" if on_files else survival,
        decimals(row.control.mean),
        f"{stated_perturbation(row):.2f}",
        str(row.images),
    )


def corruptions_in_terminal(report: SurvivalReport) -> Iterator[Table]:
    """Per model whose images went through corruptions: a line per corruption and engine, a column per attack."""
    for table in corruption_tables(ReportRows.of(report)):
        shown = plain_table(f"Survival through the input path on {table.model}, %", CORRUPTION_CAPTION)
        for heading in ("corruption", "engine"):
            shown.add_column(heading, overflow="fold")
        for heading in (
            "mIoU",
            "equal %",
            *(stacked(attack_name(line.key)) for line in table.lines),
            "n",
        ):
            shown.add_column(Text(heading), justify="right", no_wrap=heading == "n")
        before = None
        for place, column in enumerate(table.columns):
            cells = [line.cells[place] for line in table.lines]
            survived = [percent(None if cell is None else told_survival(cell).mean) for cell in cells]
            corruption = column.corruption or "as it is" if column.corruption != before else ""
            engine = within_model(column.plain, table.model)
            images = images_behind(cell.survival for cell in cells if cell is not None)
            clean = (decimals(column.miou), percent(column.equal))
            shown.add_row(*map(as_shown, (corruption, engine, *clean, *survived, images)))
            before = column.corruption
        yield shown


CLEAN_CAPTION = (
    "Labels that are others than the desktop's. noise floor: labels that change if nothing does but the order in which "
    "the same file adds up; between engines or devices, differences up to that may be nothing else."
)


def clean_in_terminal(report: SurvivalReport) -> Iterator[Table]:
    """What each engine changes on clean images, beside its noise floor, if known; nothing where no floor is."""
    rows = ReportRows.of(report)
    clean = rows.clean_by_engine
    measured = [engine for engine in rows.uncorrupted.engines if (engine.model, engine.label) in clean]
    known = [engine for engine in measured if engine.noise_floor is not None or engine.own]
    if all(engine.noise_floor is None for engine in known):
        return
    table = plain_table("On clean images, %", CLEAN_CAPTION)
    table.add_column("engine", overflow="fold")
    for heading in ("labels changed", "noise floor", "n"):
        table.add_column(heading, justify="right", no_wrap=True)
    for engine in known:
        row = clean[engine.model, engine.label]
        changed = None if row.equal is None else 1 - row.equal
        numbers = (floor_cell(changed, noise_floor(engine)), str(row.images))
        table.add_row(*map(as_shown, (engine.label, floor_percent(changed), *numbers)))
    yield table


MOST_DIFFERENCES = 12
DIFFERENCE_HEADINGS = ("first", "second", "difference", "95 %", "noise %", "p", "n")


def differences_in_terminal(report: SurvivalReport) -> Iterator[Table | Text]:
    """The largest differences between engines and between attacks that are more than chance, and how many there are."""
    tested = [pair for pair in report.comparisons if pair.p_holm is not None]
    found = [pair for pair in tested if pair.significant]
    found.sort(key=lambda pair: -abs(pair.paired.difference or 0.0))
    if not tested:
        return
    counted = f"{len(found)} of {len(tested)} paired differences are more than chance explains (comparisons.csv)"
    if not found:
        blind = undecidable(tested)
        yield Text(f"{counted}{': there are too few images, or too many comparisons, to tell' if blind else ''}.")
        return
    caption = (
        f"{counted}; the largest are shown. Second minus first, means over images with both. p: two-sided permutation "
        f"test, Holm's correction for {len(tested)} tests. noise: the floor of two engines' labels."
    )
    table = plain_table("Differences that are more than chance", caption)
    table.add_column("compared", overflow="fold")
    for heading in DIFFERENCE_HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    several = len({pair.model for pair in tested}) > 1
    for pair in found[:MOST_DIFFERENCES]:
        paired = pair.paired
        numbers = (decimals(paired.first), decimals(paired.second), signed(paired.difference))
        chance = (signed_interval(paired), floor_cell(paired.difference, pair.noise_floor), p_value(pair.p_holm))
        table.add_row(*map(as_shown, (_compared(pair, several), *numbers, *chance, str(paired.images))))
    yield table


def _compared(pair: Comparison, several: bool) -> str:
    """What is compared, second against first. several: whether there are other models, so that engines need theirs."""
    first, second = (
        engine if several else within_model(engine, pair.model) for engine in (pair.first_engine, pair.second_engine)
    )
    what, attack = quantity_name(pair.quantity), attack_name(pair.second)
    if pair.between != "engines":
        return f"{what} on {second}: {attack} against {attack_name(pair.first)}"
    return f"{what} of {attack}: {second} against {first}"

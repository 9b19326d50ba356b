"""A report for a terminal: survival, corruptions, clean images, significant differences, and how it ends."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from segeval.plain_table import as_shown, lines, plain_table
from segeval.stronger import FAILED

from ..measure.comparisons import undecidable
from ..measure.corruption_tables import corruption_tables
from ..measure.decisive import told_survival
from ..measure.report_records import Comparison, SurvivalReport, SurvivalRow
from ..measure.report_rows import ReportRows
from ..measure.row_key import within_model
from ..measure.within_noise import floor_cell, floor_percent, noise_floor
from .attack_tables import attack_tables
from .wording import (
    BEHIND,
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
    task_named,
    with_interval,
)

CAPTION = (
    "desktop, engine: success, the share of the attacked pixels (φ) that are hit. survived: of the pixels hit on the "
    f"desktop, the share also hit on the engine; – if these are less than {percent(FAILED)} % of φ. clean: share of φ "
    "hit without an attack. levels: mean change per pixel in 8-bit levels, over φ for local attacks. Means "
    "over images, 95 % intervals."
)

ON_FILES = "Attacks made on deployed files have no survival, but a table of their own."

CORRUPTION_CAPTION = (
    "Percent of the pixels hit on the desktop, without a corruption, that are also hit on the engine; means over "
    "images. fp32 shows what the corruption alone destroys. mIoU and labels equal to the desktop's: on clean images. "
    f"{BEHIND}"
)


def survival_in_terminal(report: SurvivalReport) -> Iterator[Table]:
    """Per network a line per attack and engine, all tasks together: success on the desktop and on the engine, survival.

    Attacks on deployed files have no survival to tell.
    """
    shipping = ReportRows.of(report).as_shipped
    tasks = ", ".join(task.name for task in report.set.tasks)

    def cells(row: SurvivalRow) -> tuple[str, ...]:
        told = told_survival(row)
        survival = percent(told.mean) if told.low is None else with_interval(told).replace(" %", "")
        return (
            task_named(attack_name(row.key), row, report),
            decimals(row.desktop_success.mean),
            decimals(row.engine_success.mean),
            "–" if row.attack in shipping.on_files else survival,
            decimals(row.control.mean),
            f"{stated_perturbation(row):.2f}",
            str(row.images),
        )

    return attack_tables(
        shipping.together,
        lambda model: f"Survival of the attacks on {model} ({tasks})",
        f"{CAPTION} {ON_FILES}" if shipping.on_files else CAPTION,
        ("desktop", "engine", "survived %", "clean", "levels", "n"),
        cells,
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
    "labels changed: labels that differ from the desktop's. noise floor: labels that change with the order of "
    "summation alone; differences between engines or devices up to it may come from that order."
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
    """The largest significant differences between engines and between attacks, and how many there are."""
    tested = [pair for pair in report.comparisons if pair.p_holm is not None]
    found = [pair for pair in tested if pair.significant]
    found.sort(key=lambda pair: -abs(pair.paired.difference or 0.0))
    if not tested:
        return
    counted = f"{len(found)} of {len(tested)} paired differences are significant (comparisons.csv)"
    if not found:
        blind = undecidable(tested)
        yield Text(f"{counted}{': there are too few images, or too many comparisons, to tell' if blind else ''}.")
        return
    caption = (
        f"{counted}; the largest are shown. Second minus first, means over images with both. p: two-sided permutation "
        f"test, Holm's correction for {len(tested)} tests. noise: the floor of two engines' labels."
    )
    table = plain_table("Significant differences", caption)
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


def conclusion(report: SurvivalReport) -> Text:
    """How the output ends: what limits the numbers, then the verdict, so that it is seen without scrolling."""
    return lines((*report.notes, "", *report.verdict))

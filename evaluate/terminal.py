"""The survival table for a terminal, that of the channels, and the differences that are more than chance."""

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from segeval.evaluate.channels import ChannelLine, channel_tables
from segeval.evaluate.paired import SIGNIFICANT, can_be_significant
from segeval.evaluate.report_records import Comparison, SurvivalReport, SurvivalRow
from segeval.evaluate.verdict import overall
from segeval.evaluate.wording import decimals, p_value, percent, signed, stated_perturbation, with_interval

CAPTION = (
    "Means over images, 95 % intervals. clean: what the engine shows as the adversarial class on the clean image "
    "already. levels: mean change per pixel of 255, over φ for local attacks."
)

CHANNEL_CAPTION = (
    "Percent that survived of what an attack achieved on the desktop, where no image goes through a channel; means "
    "over images. fp32 shows what the channel alone destroys. mIoU and labels equal to the desktop's: on clean images."
)


def survival_table(report: SurvivalReport) -> Table:
    """One line per attack and engine, all tasks together: success on the desktop and on the engine, and survival.

    Names are shown as they are: nothing in them is taken for markup.
    """
    rows = overall(report.survival)
    models = list(dict.fromkeys(row.model for row in rows))
    tasks = ", ".join(task.name for task in report.set.tasks)
    title = Text(f"Survival of the attacks on {', '.join(models)} ({tasks})")
    table = Table(title=title, caption=CAPTION, title_justify="left", caption_justify="left", box=SIMPLE_HEAD)
    table.pad_edge, table.collapse_padding = False, True
    for heading in ("attack", "engine"):
        table.add_column(heading, overflow="fold")
    for heading in ("desktop", "engine", "survived %", "clean", "levels", "n"):
        table.add_column(heading, justify="right", no_wrap=True)
    before: tuple[object, ...] = ()
    for row in rows:
        group = (row.model, row.victims, row.attack, row.task)
        if before and group != before:
            table.add_section()
        attack = _attack(row, report) if group != before else ""
        engine = row.engine if len(models) > 1 else row.engine.removeprefix(f"{row.model}.")
        table.add_row(*map(Text, (attack, engine, *_numbers(row))))
        before = group
    return table


def _attack(row: SurvivalRow, report: SurvivalReport) -> str:
    """The attack, with what tells its row from another of the same attack."""
    several_tasks = row.task is not None and len(report.set.tasks) > 1
    shown_elsewhere = row.victims != (row.model,)
    return (
        row.attack
        + (f" {row.task}" if several_tasks else "")
        + (f" made for {'+'.join(row.victims)}" if shown_elsewhere else "")
    )


def _numbers(row: SurvivalRow) -> tuple[str, ...]:
    survival = percent(row.survival.mean) if row.survival.low is None else with_interval(row.survival).replace(" %", "")
    return (
        decimals(row.desktop_success.mean),
        decimals(row.engine_success.mean),
        survival,
        decimals(row.control.mean),
        f"{stated_perturbation(row):.2f}",
        str(row.images),
    )


def channels_in_terminal(report: SurvivalReport) -> Iterator[Table]:
    """Per model whose images went through channels: a line per channel and engine, a column per attack."""
    for table in channel_tables(report):
        title = Text(f"Survival through the input path on {table.model}, %")
        shown = Table(
            title=title, caption=CHANNEL_CAPTION, title_justify="left", caption_justify="left", box=SIMPLE_HEAD
        )
        shown.pad_edge, shown.collapse_padding = False, True
        for heading in ("channel", "engine"):
            shown.add_column(heading, overflow="fold")
        for heading in ("mIoU", "equal %", *(_line_heading(line, table.model) for line in table.lines)):
            shown.add_column(Text(heading), justify="right")
        before = None
        for place, column in enumerate(table.columns):
            cells = [line.cells[place] for line in table.lines]
            survived = [percent(None if cell is None else cell.survival.mean) for cell in cells]
            channel = column.channel or "as it is" if column.channel != before else ""
            engine = column.plain.removeprefix(f"{table.model}.")
            shown.add_row(*map(Text, (channel, engine, decimals(column.miou), percent(column.equal), *survived)))
            before = column.channel
        yield shown


def _line_heading(line: ChannelLine, model: str) -> str:
    return line.attack + (f" made for {'+'.join(line.victims)}" if line.victims != (model,) else "")


MOST_DIFFERENCES = 12
DIFFERENCE_HEADINGS = ("first", "second", "difference", "95 %", "p", "n")


def differences_in_terminal(report: SurvivalReport) -> Iterator[Table | Text]:
    """The largest differences between engines and between attacks that are more than chance, and how many there are."""
    tested = [pair for pair in report.comparisons if pair.p_holm is not None]
    found = [pair for pair in tested if pair.p_holm is not None and pair.p_holm < SIGNIFICANT]
    found.sort(key=lambda pair: -abs(pair.difference or 0.0))
    if not tested:
        return
    counted = f"{len(found)} of {len(tested)} paired differences are more than chance explains (comparisons.csv)"
    if not found:
        blind = not any(can_be_significant(pair.images, len(tested)) for pair in tested)
        yield Text(f"{counted}{': there are too few images to tell' if blind else ''}.")
        return
    caption = Text(
        f"{counted}; the largest are shown. Second minus first, means over images with both. p: two-sided permutation "
        f"test, Holm's correction for {len(tested)} tests."
    )
    title = Text("Differences that are more than chance")
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left", box=SIMPLE_HEAD)
    table.pad_edge, table.collapse_padding = False, True
    table.add_column("compared", overflow="fold")
    for heading in DIFFERENCE_HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    several = len({pair.model for pair in tested}) > 1
    for pair in found[:MOST_DIFFERENCES]:
        numbers = (decimals(pair.first), decimals(pair.second), signed(pair.difference))
        brackets = "" if pair.low is None else f"[{signed(pair.low)}, {signed(pair.high)}]"
        table.add_row(
            *map(Text, (_compared(pair, several), *numbers, brackets, p_value(pair.p_holm), str(pair.images)))
        )
    yield table


def _compared(pair: Comparison, several: bool) -> str:
    """What is compared, second against first. several: whether there are other models, so that engines need theirs."""
    first, second = (
        engine if several else engine.removeprefix(f"{pair.model}.")
        for engine in (pair.first_engine, pair.second_engine)
    )
    what = pair.quantity.replace("_", " ")
    if pair.between == "attacks":
        return f"{what} on {second}: {pair.second_attack} against {pair.first_attack}"
    return f"{what} of {pair.second_attack}: {second} against {first}"

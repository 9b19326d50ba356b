"""The survival table for a terminal."""

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from segeval.evaluate.report_records import SurvivalReport, SurvivalRow
from segeval.evaluate.verdict import overall
from segeval.evaluate.wording import decimals, percent, stated_perturbation, with_interval

CAPTION = (
    "Means over images, 95 % intervals. clean: what the engine shows as the adversarial class on the clean image "
    "already. levels: mean change per pixel of 255, over φ for local attacks."
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

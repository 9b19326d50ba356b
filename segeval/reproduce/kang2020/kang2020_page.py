"""report.html of a reproduction: one file that asks nobody for anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from segeval.evaluate.report.page import TEMPLATES, environment, fixed
from segeval.evaluate.report.palette import LegendEntry
from segeval.files.encoding import encode
from segeval.files.experiments import LEVELS
from segeval.reproduce.kang2020.claims import MARGIN
from segeval.reproduce.kang2020.findings import by_kind, headline
from segeval.reproduce.kang2020.grid import METHOD_NAMES, SCOPE_NAMES, grids
from segeval.reproduce.kang2020.kang2020_records import BudgetRow, FigureRecord, Kang2020Report
from segeval.reproduce.kang2020.paper import PRINTED
from segeval.reproduce.kang2020.transfer_matrices import matrices

OWN_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Shown:
    """A figure as the page shows it: an SVG element, or a picture with the legend of its classes.

    alt: what a picture shows, in words.   uri: of its data.
    """

    record: FigureRecord
    alt: str
    svg: Markup | str = ""
    uri: str = ""
    width: int = 0
    height: int = 0
    legend: tuple[LegendEntry, ...] = ()


def three(value: float | None) -> str:
    """A share with three decimals, as the paper prints them; a dash for None."""
    return fixed(value, 3)


def minus(number: str) -> str:
    """A number with a proper minus sign."""
    return number.replace("-", "−")


def printed(value: float | None) -> str:
    """A figure of the paper, ``.633``."""
    return "" if value is None else f"{value:.3f}".removeprefix("0") if value < 1 else f"{value:.3f}"


@dataclass(frozen=True)
class BudgetTable:
    """Success by level, of one norm: a row per model, scope and attack."""

    norm: str
    rows: tuple[tuple[str, tuple[BudgetRow, ...]], ...]
    reasons: tuple[str, ...]


def budget_tables(rows: Sequence[BudgetRow]) -> list[BudgetTable]:
    """One table per norm."""
    tables = []
    for norm in dict.fromkeys(row.norm for row in rows):
        ours = [row for row in rows if row.norm == norm]
        names: dict[str, list[BudgetRow]] = {}
        for row in ours:
            names.setdefault(f"{row.model}, {SCOPE_NAMES[row.scope]}, {METHOD_NAMES[row.method]}", []).append(row)
        reasons = tuple(dict.fromkeys(row.reason for row in ours if row.reason))
        tables.append(BudgetTable(norm, tuple((name, tuple(each)) for name, each in names.items()), reasons))
    return tables


def render(report: Kang2020Report, shown: Sequence[Shown]) -> bytes:
    """The report as UTF-8 HTML. shown: the figures, with what is to be seen of them."""
    made = environment(folders=(OWN_TEMPLATES, TEMPLATES))
    made.filters.update(three=three, minus=minus, printed=printed)
    models = [model.name for model in report.models]
    html = made.get_template("kang2020.html.j2").render(
        report=report,
        headline=headline(report.claims),
        tables=grids(report.cells, models),
        task_tables=[(task.name, grids(report.cells, models, task.name)) for task in report.tasks],
        claims=by_kind(report.claims),
        matrices=matrices(report.cells, models),
        figures=[each for each in shown if not each.record.name.startswith("budgets-")],
        budget_figures=[each for each in shown if each.record.name.startswith("budgets-")],
        budgets=budget_tables(report.interpolated),
        levels=LEVELS,
        margin=MARGIN,
        misprint=PRINTED,
        configuration=encode(report.config, indent=2).decode(),
    )
    return html.encode()

"""report.html of a reproduction: one file that asks nobody for anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from segeval.evaluate.report.page import TEMPLATES, fixed, shown
from segeval.evaluate.report.palette import LegendEntry
from segeval.evaluate.report.wording import decimals
from segeval.files.encoding import encode
from segeval.files.experiments import LEVELS
from segeval.reproduce.kang2020.claims import MARGIN
from segeval.reproduce.kang2020.findings import by_kind, headline
from segeval.reproduce.kang2020.grid import METHOD_NAMES, Grid, grids
from segeval.reproduce.kang2020.kang2020_records import BudgetRow, FigureRecord, Kang2020Report
from segeval.reproduce.kang2020.paper import PRINTED
from segeval.reproduce.kang2020.transfer_matrices import matrices

OWN_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Shown:
    """A figure as the page shows it: an SVG element or a picture. alt: what it shows, in words."""

    record: FigureRecord
    alt: str
    svg: str = ""
    uri: str = ""
    width: int = 0
    height: int = 0
    legend: Mapping[str, str] = field(default_factory=dict)

    @property
    def markup(self) -> Markup:
        """The SVG element, drawn by charts.py from numbers and escaped names."""
        return Markup(self.svg)

    @property
    def entries(self) -> list[LegendEntry]:
        """Classes and their colours."""
        return [LegendEntry(name, colour) for name, colour in self.legend.items()]


def three(value: float | None) -> str:
    """A share with three decimals, as the paper prints them; a dash for None."""
    return fixed(value, 3)


def span(low: float | None, high: float | None) -> str:
    """``0.312 to 0.450``, or nothing where there is no interval."""
    return "" if low is None or high is None else f"{signed(low)} to {signed(high)}"


def signed(value: float | None) -> str:
    """Three decimals with a proper minus sign."""
    return three(value).replace("-", "−")


def threshold(value: float) -> str:
    """``0``, ``−0.05``."""
    return f"{value:g}".replace("-", "−")


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
            scope = "local" if row.scope == "local" else "whole image"
            names.setdefault(f"{row.model}, {scope}, {METHOD_NAMES[row.method]}", []).append(row)
        reasons = tuple(dict.fromkeys(row.reason for row in ours if row.reason))
        tables.append(BudgetTable(norm, tuple((name, tuple(each)) for name, each in names.items()), reasons))
    return tables


def environment() -> Environment:
    """Templates of this folder and, for the style sheet, of the evaluation."""
    made = Environment(
        loader=FileSystemLoader([OWN_TEMPLATES, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(
        three=three, signed=signed, threshold=threshold, printed=printed, fixed=fixed, decimals=decimals
    )
    made.globals.update(span=span)
    return made


def render(report: Kang2020Report, shown: Sequence[Shown]) -> bytes:
    """The report as UTF-8 HTML. shown: the figures, with what is to be seen of them."""
    models = [model.name for model in report.models]
    tables: list[Grid] = grids(report.cells, models)
    html = (
        environment()
        .get_template("kang2020.html.j2")
        .render(
            report=report,
            headline=headline(report.claims),
            tables=tables,
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
    )
    return html.encode()

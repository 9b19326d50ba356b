"""report.html of a reproduction: one self-contained file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from segeval.evaluate.report.page import TEMPLATES, environment, fixed
from segeval.evaluate.report.palette import LegendEntry
from segeval.files.encoding import encode
from segeval.files.experiments import LEVELS
from segeval.reproduce.kang2020.claims import MARGIN
from segeval.reproduce.kang2020.grid import METHOD_NAMES, SCOPE_NAMES, grids, matrices
from segeval.reproduce.kang2020.kang2020_findings import by_kind, headline
from segeval.reproduce.kang2020.kang2020_records import BudgetRow, FigureRecord, Kang2020Report
from segeval.reproduce.kang2020.paper import PRINTED

OWN_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Shown:
    """A figure as the page shows it: an SVG element, drawn from numbers and escaped names, or a picture with a legend.

    Attributes:
        alt: what a picture shows, in words.
        uri: of its data.
        size: (width, height) of it.
    """

    record: FigureRecord
    alt: str
    svg: Markup
    uri: str
    size: tuple[int, int]
    legend: tuple[LegendEntry, ...]


def three(value: float | None) -> str:
    """A share with three decimals, as the paper prints them; a dash for None."""
    return fixed(value, 3)


def minus(number: str) -> str:
    """A number with a proper minus sign."""
    return number.replace("-", "−")


def printed(value: float | None) -> str:
    """A figure of the paper, ``.633``."""
    return "" if value is None else f"{value:.3f}".removeprefix("0") if value < 1 else f"{value:.3f}"


def budget_tables(rows: Sequence[BudgetRow]) -> Iterator[tuple[str, dict[str, list[BudgetRow]], list[str]]]:
    """Success by level: of each norm the rows of every model, scope and attack, and why some have no value."""
    for norm in dict.fromkeys(row.norm for row in rows):
        ours = [row for row in rows if row.norm == norm]
        names: dict[str, list[BudgetRow]] = {}
        for row in ours:
            names.setdefault(f"{row.model}, {SCOPE_NAMES[row.scope]}, {METHOD_NAMES[row.method]}", []).append(row)
        yield norm, names, list(dict.fromkeys(row.reason for row in ours if row.reason))


def render(report: Kang2020Report, shown: Sequence[Shown]) -> bytes:
    """The report as UTF-8 HTML.

    Args:
        report: of the reproduction.
        shown: the figures, with what is to be seen of them.
    """
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
        models=models,
        figures=[each for each in shown if not each.record.name.startswith("budgets-")],
        budget_figures=[each for each in shown if each.record.name.startswith("budgets-")],
        budgets=list(budget_tables(report.interpolated)),
        levels=LEVELS,
        margin=MARGIN,
        misprint=PRINTED,
        configuration=encode(report.config, indent=2).decode(),
    )
    return html.encode()

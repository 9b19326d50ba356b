"""Attacks by what they were made on and judged on, for a terminal."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from ..measure.adaptive import AdaptiveCell, adaptive_tables
from ..measure.report_records import SurvivalReport
from ..measure.report_rows import ReportRows
from .plain_table import as_shown, plain_table
from .wording import decimals, points, stacked

CAPTION = (
    "Success, means over images; behind it the gap to the same attack made on the float network, in points, and below "
    "it, where there is any, the share of the attacked pixels that the engine alone shows. *: made on this very file."
)


def adaptive_in_terminal(report: SurvivalReport) -> Iterator[Table]:
    """Per network and attack that was made on deployed files: a line per thing it was made on, a column per engine."""
    for table in adaptive_tables(ReportRows.of(report), report.comparisons, report.set):
        shown = plain_table(f"{table.attack} on {' + '.join(table.victims)}: made on, judged on", CAPTION)
        shown.add_column("made on", overflow="fold")
        for heading in ("desktop", *(engine.label.removeprefix(f"{table.model}.") for engine in table.engines)):
            shown.add_column(Text(stacked(heading)), justify="right")
        for line in table.lines:
            shown.add_row(*map(as_shown, (line.made_on, decimals(line.desktop.mean), *map(told, line.cells))))
        yield shown


def told(cell: AdaptiveCell | None) -> str:
    """``0.48* +13.1``, with the evaded share in a second line."""
    if cell is None:
        return "–"
    gap = "" if cell.gap is None else f" {points(cell.gap.difference)}"
    evaded = cell.row.evaded.mean if cell.row.evaded else None
    alone = f"\n{decimals(evaded)} alone" if evaded else ""
    return f"{decimals(cell.row.engine_success.mean)}{'*' if cell.seen else ''}{gap}{alone}"

"""Attacks by what they were made on and judged on, for a terminal."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from segeval.plain_table import as_shown, plain_table

from ..measure.adaptive import AdaptiveCell, adaptive_tables
from ..measure.report_records import SurvivalReport
from ..measure.report_rows import ReportRows
from ..measure.row_key import within_model
from .wording import attacked_files, decimals, points, without_gap

CAPTION = (
    "Success, means over images. gap: to the same attack made on the float network, in points; – for evasive attacks, "
    "which must spare the desktop. evaded: share of the attacked pixels hit on the engine by the attack, while the "
    "desktop predicts the same as on the clean image. *: made on exactly the file that ran. Corrupted images are in "
    "adaptive.csv."
)


def adaptive_in_terminal(report: SurvivalReport) -> Iterator[Table]:
    """Per network and attack that was made on deployed files: lines by what it was made on, a column per engine."""
    for table in adaptive_tables(ReportRows.of(report).uncorrupted, report.comparisons, report.set):
        no_gap = [] if table.has_float else [f"There is no gap: {without_gap(table.float_crafted)}."]
        caption = " ".join((CAPTION, *no_gap, attacked_files(report.set.config)))
        shown = plain_table(f"{table.attack} on {' + '.join(table.victims)}: made on, judged on", caption)
        shown.add_column("made on", overflow="fold")
        for heading in ("desktop", *(within_model(engine.label, table.model) for engine in table.engines)):
            shown.add_column(Text(heading), justify="right", overflow="fold")
        for line in table.lines:
            shown.add_row(*map(as_shown, (line.made_on, decimals(line.desktop.mean), *map(success, line.cells))))
            if line.spec.on_files:
                gaps = (gap(cell) if line.has_gap else "–" for cell in line.cells)
                shown.add_row(*map(as_shown, ("  gap", "", *gaps)))
                shown.add_row(*map(as_shown, ("  evaded", "", *map(evaded, line.cells))))
            shown.add_section()
        yield shown


def success(cell: AdaptiveCell | None) -> str:
    """``0.48*``."""
    return "–" if cell is None else f"{decimals(cell.row.engine_success.mean)}{'*' if cell.seen else ''}"


def gap(cell: AdaptiveCell | None) -> str:
    """``+13.1``."""
    return points(cell.gap.difference) if cell is not None and cell.gap is not None else "–"


def evaded(cell: AdaptiveCell | None) -> str:
    """``0.07``."""
    return decimals(cell.row.evaded.mean) if cell is not None and cell.row.evaded is not None else "–"

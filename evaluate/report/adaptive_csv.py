"""adaptive.csv: attacks by what they were made on and judged on."""

from collections.abc import Iterable, Iterator

from ..measure.adaptive import AdaptiveCell, AdaptiveLine, AdaptiveTable
from ..measure.report_records import EngineSummary
from .report_csv import CsvLine, joined, share_cells, survival_cells


def adaptive_lines(tables: Iterable[AdaptiveTable]) -> Iterator[CsvLine]:
    """One per attack, what it was made on, and engine."""
    for table in tables:
        for line in table.lines:
            for engine, cell in zip(table.engines, line.cells, strict=True):
                if cell is not None:
                    yield _line(table, line, engine, cell)


def _line(table: AdaptiveTable, line: AdaptiveLine, engine: EngineSummary, cell: AdaptiveCell) -> CsvLine:
    return {
        "model": table.model,
        "victims": joined(table.victims),
        "attack": table.attack,
        "made_on": line.made_on,
        "engine": engine.label,
        "made_on_this_file": int(cell.seen),
        **survival_cells(cell.row),
        **share_cells("evaded", cell.row.evaded),
        **share_cells("gap", cell.gap, ("difference", "low", "high")),
        "p_holm": cell.p_holm,
    }

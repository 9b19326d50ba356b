"""adaptive.csv: attacks by what they were made on and judged on."""

from collections.abc import Iterable

from ..measure.adaptive import AdaptiveCell, AdaptiveLine, AdaptiveTable
from ..measure.report_records import EngineSummary
from .report_csv import Cell, csv_bytes, joined, survival_cells


def adaptive_csv(tables: Iterable[AdaptiveTable]) -> bytes:
    """One line per attack, what it was made on, and engine; empty if there is no table."""
    return csv_bytes(
        _cells(table, line, engine, cell)
        for table in tables
        for line in table.lines
        for engine, cell in zip(table.engines, line.cells, strict=True)
        if cell is not None
    )


def _cells(table: AdaptiveTable, line: AdaptiveLine, engine: EngineSummary, cell: AdaptiveCell) -> dict[str, Cell]:
    return {
        "model": table.model,
        "victims": joined(table.victims),
        "attack": table.attack,
        "made_on": line.made_on,
        "engine": engine.label,
        "made_on_this_file": int(cell.seen),
        **survival_cells(cell.row),
        **{f"evaded_{part}": getattr(cell.row.evaded, part, None) for part in ("mean", "low", "high")},
        **{f"gap_{part}": getattr(cell.gap, part, None) for part in ("difference", "low", "high")},
        "p_holm": cell.p_holm,
    }

"""corruptions.csv: survival through what a camera does to the image."""

from collections.abc import Iterable

from ..measure.corruption_tables import CorruptionColumn, CorruptionTable
from ..measure.report_records import SurvivalRow
from .report_csv import Cell, csv_bytes, joined, survival_cells


def corruptions_csv(tables: Iterable[CorruptionTable]) -> bytes:
    """One line per attack, corruption and engine; empty if there is no table."""
    return csv_bytes(
        _cells(column, cell)
        for table in tables
        for line in table.lines
        for column, cell in zip(table.columns, line.cells, strict=True)
        if cell is not None
    )


def _cells(column: CorruptionColumn, cell: SurvivalRow) -> dict[str, Cell]:
    return {
        "model": cell.model,
        "victims": joined(cell.victims),
        "attack": cell.attack,
        "corruption": column.corruption,
        "engine": column.plain,
        "precision": column.precision,
        **survival_cells(cell),
        "clean_images": column.images,
        "clean_miou": column.miou,
        "clean_accuracy": column.accuracy,
        "clean_equal": column.equal,
    }

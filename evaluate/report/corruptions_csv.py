"""corruptions.csv: survival through what a camera does to the image."""

from collections.abc import Iterable, Iterator

from ..measure.corruption_tables import CorruptionColumn, CorruptionTable
from ..measure.report_records import SurvivalRow
from .report_csv import CsvLine, joined, survival_cells


def corruption_lines(tables: Iterable[CorruptionTable]) -> Iterator[CsvLine]:
    """One per attack, corruption and engine."""
    for table in tables:
        for line in table.lines:
            for column, cell in zip(table.columns, line.cells, strict=True):
                if cell is not None:
                    yield _line(column, cell)


def _line(column: CorruptionColumn, cell: SurvivalRow) -> CsvLine:
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

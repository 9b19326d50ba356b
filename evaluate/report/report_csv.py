"""The CSV files beside a report: everything its tables and figures show can be computed from them again."""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..measure.report_records import BreakdownRow, CleanRow, Comparison, Curve, Estimate, SurvivalRow
from ..measure.row_key import RowKey
from ..measure.survival import SampleCounts

ALL_TASKS = "*"
FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How texts begin that a spreadsheet computes; and those with apostrophes before, so that all can be read back."""
SPECIAL = re.compile('[",\r\n]')
"""What makes a cell need quotation marks."""
Cell = str | int | float | None


def csv_bytes(rows: Iterable[Mapping[str, Cell]]) -> bytes:
    """CSV with a header; an unknown value is an empty cell, and no text is a formula."""
    lines: list[str] = []
    for row in rows:
        if not lines:
            lines.append(",".join(map(field, row)))
        lines.append(",".join(map(field, row.values())))
    return "".join(line + "\n" for line in lines).encode()


def field(cell: Cell) -> str:
    """A cell as it stands in a line. Python's own writer leaves a carriage return bare, which no reader takes."""
    if cell is None:
        return ""
    text = quoted(cell) if isinstance(cell, str) else str(cell)
    return '"{}"'.format(text.replace('"', '""')) if SPECIAL.search(text) else text


def quoted(text: str) -> str:
    """A text that no spreadsheet takes for a formula: with an apostrophe in front where it looks like one (OWASP)."""
    return f"'{text}" if FORMULA.match(text) else text


def unquoted(text: str) -> str:
    """The text that `quoted` was given."""
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


def joined(parts: Iterable[object]) -> str:
    """Several names in one cell."""
    return "+".join(map(str, parts))


def parted(cell: str) -> tuple[str, ...]:
    """The names that `joined` was given."""
    return tuple(cell.split("+"))


def flat(record: object) -> dict[str, Cell]:
    """The fields of a record as cells: a nested record's fields get its name in front, victims are joined with +."""
    cells: dict[str, Cell] = {}
    for field in dataclasses.fields(record):  # type: ignore[arg-type]
        value = getattr(record, field.name)
        if dataclasses.is_dataclass(value):
            cells.update({f"{field.name}_{name}": cell for name, cell in flat(value).items()})
        elif isinstance(value, tuple):
            cells[field.name] = joined(value)
        elif field.name == "task" and value is None:
            cells[field.name] = ALL_TASKS
        else:
            cells[field.name] = value
    return cells


def samples_csv(rows: Iterable[SampleCounts]) -> bytes:
    """One line per sample and engine with all its counts."""
    return csv_bytes(map(flat, rows))


def survival_csv(rows: Iterable[SurvivalRow]) -> bytes:
    """One line per row of the survival table."""
    return csv_bytes(flat(_every_estimate(row)) for row in rows)


def _every_estimate(row: SurvivalRow) -> SurvivalRow:
    """The row with an empty estimate where it has none, so that all lines have the same columns."""
    empty = Estimate(None, None, None, None, None, None, 0, row.images, "")
    absent = [field.name for field in dataclasses.fields(row) if getattr(row, field.name) is None]
    changes: dict[str, Any] = dict.fromkeys([name for name in absent if name != "task"], empty)
    return dataclasses.replace(row, **changes)


def breakdown_csv(rows: Iterable[BreakdownRow]) -> bytes:
    """One line per bin of a survival row."""
    return csv_bytes(map(flat, rows))


def comparisons_csv(rows: Iterable[Comparison]) -> bytes:
    """One line per paired comparison."""
    return csv_bytes(map(tested_cells, rows))


def tested_cells(row: object, **names: str) -> dict[str, Cell]:
    """A record that has a `Paired`, whose columns have no name in front, or are called otherwise: old=new."""
    found = ((name.removeprefix("paired_"), cell) for name, cell in flat(row).items())
    return {names.get(name, name): cell for name, cell in found}


def attack_cells(key: RowKey) -> dict[str, Cell]:
    """Which attack, for which victims and task."""
    return {"victims": joined(key.victims), "attack": key.attack, "task": ALL_TASKS if key.task is None else key.task}


def curves_csv(curves: Sequence[Curve]) -> bytes:
    """One line per curve and step. file: that it was measured on, empty for the network."""
    return csv_bytes(
        {"model": curve.model, **attack_cells(curve.key), "file": curve.file, **flat(point)}
        for curve in curves
        for point in curve.points
    )


def survival_cells(row: SurvivalRow) -> dict[str, Cell]:
    """The main shares of a row with their intervals, for tables that are about something else as well.

    images: behind survival; left_out: those without, which the other shares rest on too.
    """
    cells: dict[str, Cell] = {"images": row.survival.images, "left_out": row.survival.left_out}
    for name in ("survival", "engine_success", "desktop_success", "control"):
        share: Estimate = getattr(row, name)
        cells |= {f"{name}_mean": share.mean, f"{name}_low": share.low, f"{name}_high": share.high}
    return cells


def clean_csv(rows: Iterable[CleanRow]) -> bytes:
    """One line per engine; the confusion matrices are in report.json."""
    return csv_bytes(_clean_cells(row) for row in rows)


def _clean_cells(row: CleanRow) -> dict[str, Cell]:
    cells = flat(dataclasses.replace(row, latency=None, confusion=None))
    del cells["confusion"], cells["latency"]
    for name in ("inputs", "batch", "p50", "p90", "mean"):
        cells[f"latency_{name}"] = None if row.latency is None else getattr(row.latency, name)
    return cells

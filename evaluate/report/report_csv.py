"""The CSV files beside a report: everything its tables and figures show can be computed from them again."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..measure.estimate_records import Estimate
from ..measure.report_records import CleanRow, Curve, SurvivalRow
from ..measure.row_key import RowKey

ALL_TASKS = "*"
FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How texts begin that a spreadsheet computes; and those with apostrophes before, so that all can be read back."""
SPECIAL = re.compile('[",\r\n]')
"""What makes a cell need quotation marks."""
CsvCell = str | int | float | None
CsvLine = dict[str, CsvCell]
"""A line of a table by its columns, which all lines of one table share."""


def csv_bytes(rows: Iterable[Mapping[str, CsvCell]]) -> bytes:
    """CSV with a header; an unknown value is an empty cell, and no text is a formula. Empty without a row."""
    lines: list[str] = []
    for row in rows:
        if not lines:
            lines.append(",".join(map(field, row)))
        lines.append(",".join(map(field, row.values())))
    return "".join(line + "\n" for line in lines).encode()


def field(cell: CsvCell) -> str:
    """A cell as it is written in a line. Python's own writer leaves a carriage return bare, which no reader takes."""
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


def flat(record: object) -> CsvLine:
    """The fields of a record as cells: a nested record's fields get its name in front, victims are joined with +."""
    cells: CsvLine = {}
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


def survival_line(row: SurvivalRow) -> CsvLine:
    """A row of the survival table, with an empty estimate where it has none."""
    empty = Estimate(None, None, None, None, None, None, 0, row.images, "")
    absent = [field.name for field in dataclasses.fields(row) if getattr(row, field.name) is None]
    changes: dict[str, Any] = dict.fromkeys([name for name in absent if name != "task"], empty)
    return flat(dataclasses.replace(row, **changes))


def tested_cells(row: object, **names: str) -> CsvLine:
    """A record that has a `Paired`, whose columns have no name in front, or are called otherwise: old=new."""
    found = ((name.removeprefix("paired_"), cell) for name, cell in flat(row).items())
    return {names.get(name, name): cell for name, cell in found}


def attack_cells(key: RowKey) -> CsvLine:
    """Which attack, for which victims and task."""
    return {"victims": joined(key.victims), "attack": key.attack, "task": ALL_TASKS if key.task is None else key.task}


def curve_lines(curves: Iterable[Curve]) -> Iterator[CsvLine]:
    """One per curve and step. file: that it was measured on, empty for the network."""
    for curve in curves:
        for point in curve.points:
            yield {"model": curve.model, **attack_cells(curve.key), "file": curve.file, **flat(point)}


def share_cells(name: str, share: object, parts: Iterable[str] = ("mean", "low", "high")) -> CsvLine:
    """Some fields of an estimate or a difference under its name; empty without one."""
    return {f"{name}_{part}": getattr(share, part, None) for part in parts}


def survival_cells(row: SurvivalRow) -> CsvLine:
    """The main shares of a row with their intervals, for tables that are about something else as well.

    images: behind survival; left_out: those without, which the other shares rest on too.
    """
    cells: CsvLine = {"images": row.survival.images, "left_out": row.survival.left_out}
    for name in ("survival", "engine_success", "desktop_success", "control"):
        cells |= share_cells(name, getattr(row, name))
    return cells


def clean_line(row: CleanRow) -> CsvLine:
    """An engine on clean images; the confusion matrices are in report.json."""
    cells = flat(dataclasses.replace(row, latency=None, confusion=None))
    del cells["confusion"], cells["latency"]
    for name in ("inputs", "batch", "p50", "p90", "mean"):
        cells[f"latency_{name}"] = None if row.latency is None else getattr(row.latency, name)
    return cells

"""Reads the samples.csv of a report. It may come from elsewhere: nothing in it is believed before it was checked."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from segeval.errors import DataError, FormatError
from segeval.files.storage import read_lines

from ..measure.row_key import RowKey
from ..measure.survival import SampleCounts
from ..report.report_csv import parted, unquoted

FILE = "samples.csv"
MOST_LINE = 1 << 16
"""Bytes of a line."""
MOST_PIXELS = 1 << 31
"""Of an image."""
HINT = "is it a samples.csv as segeval evaluate writes it? Evaluate again"


def read_samples(folder: Path) -> dict[RowKey, list[SampleCounts]]:
    """The rows of samples.csv by what they are about, all tasks together, in the order of the file.

    Raises DataError if there is none or nothing in it, FormatError naming the line that is malformed or comes twice.
    """
    path = folder / FILE
    groups: dict[RowKey, list[SampleCounts]] = {}
    seen: set[tuple[RowKey, str]] = set()
    for line, row in rows_of(path):
        if (row.key, row.image) in seen:
            raise FormatError(f"{path}:{line}: sample {row.sample} on {row.engine} comes twice", HINT)
        seen.add((row.key, row.image))
        groups.setdefault(row.key.over_tasks(), []).append(row)
    if not groups:
        raise DataError(f"{path} has no samples", HINT)
    return groups


def rows_of(path: Path) -> Iterator[tuple[int, SampleCounts]]:
    """Every row with the line it ends on. Raises DataError, FormatError."""
    reader = csv.reader(text_of(path), strict=True)
    try:
        header = next(reader, [])
        if len(set(header)) < len(header):
            raise FormatError(f"{path}: a column comes twice", HINT)
        for cells in reader:
            where = f"{path}:{reader.line_num}"
            if len(cells) != len(header):
                raise FormatError(f"{where}: {len(cells)} cells under {len(header)} headings", HINT)
            yield reader.line_num, row_from(dict(zip(header, cells, strict=True)), where)
    except OSError as error:
        raise DataError(f"{path.parent} has no readable {FILE}", "give a folder made by segeval evaluate") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}:{reader.line_num + 1}: is not UTF-8 text", HINT) from error
    except csv.Error as error:
        raise FormatError(f"{path}:{reader.line_num + 1}: {error}", HINT) from error


def text_of(path: Path) -> Iterator[str]:
    """Its lines as text. Raises FormatError if the last one was cut, UnicodeDecodeError, OSError."""
    for line in read_lines(path, MOST_LINE):
        text = line.decode()
        if not text.endswith("\n"):
            raise FormatError(f"{path} ends in the middle of a line", "the file was cut; copy it again, whole")
        yield text


def row_from(cells: Mapping[str, str], where: str) -> SampleCounts:
    """The counts in a line; an empty cell is an unknown value. Raises FormatError."""
    known: dict[str, object] = {name: unquoted(cell) or None for name, cell in cells.items()}
    known["victims"] = parted(unquoted(cells.get("victims", "")))
    try:
        row = msgspec.convert(known, SampleCounts, strict=False)
    except msgspec.ValidationError as error:
        raise FormatError(f"{where}: {error}", HINT) from error
    check(row, where)
    return row


def check(row: SampleCounts, where: str) -> None:
    """Raise FormatError if a count is larger than the count that it is a part of, or negative."""
    chains = (
        ("survived", "desktop_hit", "phi", "pixels"),
        ("survived", "engine_hit", "phi"),
        ("evaded", "engine_hit"),
        ("engine_source_correct", "source", "pixels"),
    )
    for names in chains:
        numbers = [0, *(value for name in names if (value := getattr(row, name)) is not None), MOST_PIXELS]
        if numbers != sorted(numbers):
            raise FormatError(f"{where}: {', '.join(names)} must grow from 0 in this order", HINT)
    if (row.source is None) != (row.engine_source_correct is None):
        raise FormatError(f"{where}: source and engine_source_correct are known together or not at all", HINT)

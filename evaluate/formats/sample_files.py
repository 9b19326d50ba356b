"""Writes the rows of a report as JSON lines and as Parquet, piece by piece: memory does not grow with their number.

Their columns are the fields of `SampleRecord`, in its order.
"""

import dataclasses
import types
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from segeval.files.encoding import encode
from segeval.files.storage import replacing, sha256_file

from ..measure.report_records import SurvivalReport
from ..measure.survival import SampleCounts
from .sample_records import SAMPLES_SCHEMA, SampleRecord, sample_records

if TYPE_CHECKING:
    import pyarrow

ROW_GROUP = 1024
"""Rows of a Parquet file that are held and written together."""


def write_samples(out: Path, report: SurvivalReport, rows: Iterable[SampleCounts]) -> None:
    """Write samples.jsonl and samples.parquet beside the samples.csv in `out`.

    Parquet says in its metadata which samples.csv has the same rows; report.json has its hash.

    Raises StorageError.

    Args:
        out: folder of the report.
        report: the survival report.
        rows: can be gone through twice.
    """
    metadata = {
        "schema": SAMPLES_SCHEMA,
        "set_sha256": report.set.sha256,
        "samples_csv_sha256": sha256_file(out / "samples.csv"),
        "seed": str(report.seed),
    }
    write_jsonl(out / "samples.jsonl", sample_records(report, rows))
    write_parquet(out / "samples.parquet", sample_records(report, rows), metadata)


def write_jsonl(path: Path, records: Iterable[SampleRecord]) -> None:
    """One JSON object per line. Raises StorageError."""
    with replacing(path) as file:
        for record in records:
            file.write(encode(record) + b"\n")


def write_parquet(path: Path, records: Iterable[SampleRecord], metadata: Mapping[str, str]) -> None:
    """Row groups of `ROW_GROUP` rows.

    Raises StorageError.

    Args:
        path: the file.
        records: one per row.
        metadata: of the file, as text by name.
    """
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    schema = arrow_schema(SampleRecord, metadata)
    with replacing(path) as file, ParquetWriter(file, schema, compression="zstd") as writer:
        for rows in pieces(map(cells, records), ROW_GROUP):
            writer.write_batch(pyarrow.RecordBatch.from_pylist(rows, schema=schema))


def cells(record: SampleRecord) -> dict[str, Any]:
    """The fields of a record by name."""
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def pieces(rows: Iterable[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    """Lists of `size` rows, the last one shorter."""
    rest = iter(rows)
    while piece := list(islice(rest, size)):
        yield piece


def arrow_schema(form: type, metadata: Mapping[str, str]) -> "pyarrow.Schema":
    """A column per field of a dataclass. Raises TypeError for a field that has no Arrow type here."""
    import pyarrow

    hints = get_type_hints(form)
    columns = [_column(field.name, hints[field.name]) for field in dataclasses.fields(form)]
    return pyarrow.schema(columns, metadata=dict(metadata))


def _column(name: str, hint: Any) -> "pyarrow.Field":
    """Nullable where the field may be None."""
    import pyarrow

    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    known = [part for part in parts if part is not type(None)]
    if len(known) != 1:
        raise TypeError(f"{name}: no Arrow type for {hint}")
    return pyarrow.field(name, arrow_type(known[0]), nullable=len(known) < len(parts))


def arrow_type(hint: Any) -> "pyarrow.DataType":
    """Of text, numbers, and tuples of them of any length. Raises TypeError for others."""
    import pyarrow

    plain = {str: pyarrow.string(), bool: pyarrow.bool_(), int: pyarrow.int64(), float: pyarrow.float64()}
    if hint in plain:
        return plain[hint]
    arguments = get_args(hint)
    if get_origin(hint) is tuple and arguments[1:] == (...,):
        return pyarrow.list_(arrow_type(arguments[0]))
    if get_origin(hint) is Literal and all(isinstance(value, str) for value in arguments):
        return pyarrow.string()
    raise TypeError(f"no Arrow type for {hint}")

"""samples.jsonl and samples.parquet say the same as samples.csv, and what the rows are of."""

import csv
import dataclasses
import json
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyarrow import parquet

from segeval.errors import StorageError
from segeval.evaluate import SurvivalReport, evaluate
from segeval.evaluate.formats import sample_files
from segeval.evaluate.formats.sample_files import arrow_schema, write_jsonl, write_parquet
from segeval.evaluate.formats.sample_records import SampleRecord
from segeval.evaluate.measure.survival import SampleCounts
from segeval.files.encoding import decode
from segeval.files.storage import sha256_file

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

Shared = tuple["World", SurvivalReport]
Columns = dict[str, Any]
Write = Callable[[Path, Iterator[SampleRecord]], None]


def from_csv(cell: str) -> str | None:
    return cell or None


def as_csv(value: object) -> str | None:
    """What a value is in samples.csv."""
    joined = "+".join(map(str, value)) if isinstance(value, list) else value
    return None if joined is None or joined == "" else str(joined)


def lines(out: Path) -> list[Columns]:
    return [json.loads(line) for line in (out / "samples.jsonl").read_bytes().splitlines()]


def test_the_three_files_hold_the_same_counts(shared: Shared) -> None:
    out = shared[0].set_root.parent / "out"
    rows = lines(out)
    assert rows == parquet.read_table(out / "samples.parquet").to_pylist()
    with (out / "samples.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(rows) > 0
    for cells, row in zip(table, rows, strict=True):
        assert {name: from_csv(cell) for name, cell in cells.items()} == {name: as_csv(row[name]) for name in cells}


def test_every_count_and_what_it_is_of_is_a_column(shared: Shared) -> None:
    world, report = shared
    out = world.set_root.parent / "out"
    own = {"set", "dataset", "split", "precision", "calibration", "corruption", "schema"}
    columns = {field.name for field in dataclasses.fields(SampleCounts)} | own
    precisions = {engine.label: engine.precision for engine in report.engines}
    for row in lines(out):
        assert set(row) == columns
        assert (row["set"], row["dataset"], row["split"]) == (
            sha256_file(world.set_root / "set.json"),
            "camvid",
            "test",
        )
        assert row["precision"] == precisions[row["engine"]]
        assert (row["calibration"], row["corruption"], row["schema"]) == ("", "", "segeval.samples/2")
        assert decode(json.dumps(row), SampleRecord, "a line").victims == tuple(row["victims"])


def test_parquet_says_which_report_it_belongs_to(shared: Shared) -> None:
    world, _ = shared
    out = world.set_root.parent / "out"
    metadata = parquet.read_schema(out / "samples.parquet").metadata
    assert {key.decode(): value.decode() for key, value in metadata.items()} == {
        "schema": "segeval.samples/2",
        "set_sha256": sha256_file(world.set_root / "set.json"),
        "samples_csv_sha256": sha256_file(out / "samples.csv"),
        "seed": "0",
    }


def test_counts_without_ground_truth_are_null(build: Callable[..., "World"], tmp_path: Path) -> None:
    world = build(truth=False, names=("a",))
    evaluate(world.set_root, [world.replay_root], tmp_path / "out")
    table = parquet.read_table(tmp_path / "out" / "samples.parquet")
    assert table["source"].null_count == table.num_rows == len(lines(tmp_path / "out"))
    assert not table.schema.field("phi").nullable
    assert str(table.schema.field("source").type) == "int64"


@dataclass
class Unstorable:
    """Has a field that no column can hold."""

    nested: dict[str, int]


@dataclass
class Ambiguous:
    """Has a field of one of two types."""

    either: int | str


@pytest.mark.parametrize("form", [Unstorable, Ambiguous])
def test_a_field_without_a_column_type_is_an_error_of_the_program(form: type) -> None:
    with pytest.raises(TypeError, match="no Arrow type"):
        arrow_schema(form, {})


def as_parquet(path: Path, records: Iterator[SampleRecord]) -> None:
    write_parquet(path, records, {})


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> int:
    """Rows of a row group, few enough for many groups in a moment."""
    monkeypatch.setattr(sample_files, "ROW_GROUP", 100)
    return 100


writers = pytest.mark.parametrize("write", [write_jsonl, as_parquet])


def repeated(shared: Shared, count: int) -> Iterator[SampleRecord]:
    """Rows that nobody holds: each is made when it is asked for."""
    row = lines(shared[0].set_root.parent / "out")[0]
    for number in range(count):
        yield SampleRecord(**{**row, "victims": tuple(row["victims"]), "sample": f"sample {number}"})


@writers
def test_memory_does_not_grow_with_the_rows(write: Write, shared: Shared, small_groups: int, tmp_path: Path) -> None:
    write(tmp_path / "rows", repeated(shared, small_groups))  # what is made once is there
    peaks = []
    for groups in (2, 20):
        tracemalloc.start()
        write(tmp_path / "rows", repeated(shared, groups * small_groups))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_row_groups_are_bounded(shared: Shared, small_groups: int, tmp_path: Path) -> None:
    as_parquet(tmp_path / "rows", repeated(shared, small_groups + 1))
    file = parquet.ParquetFile(tmp_path / "rows")
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [small_groups, 1]


@writers
def test_a_file_that_fails_in_the_middle_keeps_the_one_that_was_there(
    write: Write, shared: Shared, tmp_path: Path
) -> None:
    path = tmp_path / "rows"
    path.write_bytes(b"before")

    def failing() -> Iterator[SampleRecord]:
        yield from repeated(shared, 10)
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        write(path, failing())
    assert path.read_bytes() == b"before"
    assert [each.name for each in tmp_path.iterdir()] == ["rows"]


@writers
@pytest.mark.usefixtures("small_groups")
def test_a_full_disk_is_said(write: Write, shared: Shared, mount_disk: Callable[[str], Path]) -> None:
    disk = mount_disk("64k")
    with pytest.raises(StorageError, match="no space left"):
        write(disk / "rows", repeated(shared, 100_000))
    assert not any(disk.iterdir())

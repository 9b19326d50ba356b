"""A samples.csv may come from anywhere: what is wrong with it is named with its line."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segeval.errors import DataError, FormatError, SegevalError
from segeval.evaluate.compare.runs import open_run
from segeval.evaluate.compare.samples_csv import read_samples

RunOf = Callable[..., Path]


def change(run: Path, line: int, column: str, cell: str) -> Path:
    """Replace a cell; lines are counted from 1, which is the header."""
    path = run / "samples.csv"
    lines = path.read_text().splitlines()
    place = lines[0].split(",").index(column)
    cells = lines[line - 1].split(",")
    cells[place] = cell
    lines[line - 1] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n")
    return run


def test_everything_is_read(run_of: RunOf) -> None:
    groups = read_samples(run_of("a"))
    assert len(groups) == 2 * 2 and {len(rows) for rows in groups.values()} == {20 * 2}
    assert all(row.victims == ("espnet-camvid",) and row.source == row.phi for rows in groups.values() for row in rows)


@pytest.mark.parametrize(
    ("column", "cell", "complaint"),
    [
        ("phi", "many", "Expected `int`"),
        ("phi", "", "Expected `int`, got `null`"),
        ("phi", "-5", "survived, desktop_hit, phi, pixels must grow from 0"),
        ("phi", "9" * 400, "samples.csv:3"),
        ("survived", "5000", "survived, desktop_hit, phi, pixels must grow from 0"),
        ("engine_hit", "0", "survived, engine_hit, phi must grow from 0"),
        ("engine_source_correct", "9999", "engine_source_correct, source, pixels must grow"),
        ("source", "", "source and engine_source_correct are known together or not at all"),
        ("mean", "x", "Expected `float`"),
        ("image", "", "Expected `str`"),
        ("task", "one,two", "cells under"),
    ],
)
def test_a_wrong_cell_is_named_with_its_line(run_of: RunOf, column: str, cell: str, complaint: str) -> None:
    with pytest.raises(FormatError) as caught:
        read_samples(change(run_of("a"), 3, column, cell))
    assert complaint in caught.value.what and "samples.csv:3" in caught.value.what
    assert "Evaluate again" in caught.value.hint


def test_a_sample_that_comes_twice_is_refused(run_of: RunOf) -> None:
    path = run_of("a") / "samples.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[4]]))
    with pytest.raises(FormatError, match=f"samples.csv:{len(lines) + 1}: sample image-00/.* comes twice"):
        read_samples(path.parent)


def test_a_missing_column_and_one_that_comes_twice(run_of: RunOf) -> None:
    path = run_of("a") / "samples.csv"
    text = path.read_text()
    path.write_text(text.replace(",phi,", ",psi,", 1))
    with pytest.raises(FormatError, match="missing required field `phi`"):
        read_samples(path.parent)
    path.write_text(text.replace(",phi,", ",pixels,", 1))
    with pytest.raises(FormatError, match="a column comes twice"):
        read_samples(path.parent)


def test_columns_of_a_newer_version_are_no_reason_to_refuse(run_of: RunOf) -> None:
    path = run_of("a") / "samples.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0] + ",novelty", *(line + ",1" for line in lines[1:])]) + "\n")
    assert len(read_samples(path.parent)) == 4


def test_columns_that_an_older_version_lacks_are_not_needed(run_of: RunOf) -> None:
    path = run_of("a") / "samples.csv"
    lines = [line.split(",") for line in path.read_text().splitlines()]
    older = lines[0].index("linf") + 1  # the last of its columns
    path.write_text("\n".join(",".join(cells[:older]) for cells in lines) + "\n")
    assert len(read_samples(path.parent)) == 4


@pytest.mark.parametrize("content", [b"", b"sample,image\n", b"\xff\xfe", b"a" * 70_000, b'"a\n'])
def test_what_is_no_table_of_samples(run_of: RunOf, content: bytes) -> None:
    run = run_of("a")
    (run / "samples.csv").write_bytes(content)
    with pytest.raises(SegevalError) as caught:
        read_samples(run)
    assert "samples.csv" in caught.value.what


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.integers(0, 3000))
def test_damage_anywhere_is_read_or_explained(run_of: RunOf, damage: bytes, place: int) -> None:
    run = run_of("a", images=("one", "two"))
    path = run / "samples.csv"
    data = path.read_bytes()
    path.write_bytes(data[:place] + damage + data[place + len(damage) :])
    try:
        assert read_samples(run)
    except SegevalError as error:
        assert "samples.csv" in error.what


def test_bytes_that_are_no_text_are_called_that(run_of: RunOf) -> None:
    path = run_of("a") / "samples.csv"
    path.write_bytes(path.read_bytes().replace(b"image-00", b"image-\xff0", 1))
    with pytest.raises(FormatError, match=r"samples\.csv:2: is not UTF-8 text\n"):
        read_samples(path.parent)


def test_a_file_that_was_cut_in_a_line(run_of: RunOf) -> None:
    path = run_of("a") / "samples.csv"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FormatError, match=r"samples\.csv ends in the middle of a line"):
        read_samples(path.parent)


def test_a_file_that_was_cut_after_a_line(run_of: RunOf) -> None:
    path = run_of("a") / "samples.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:31]))
    with pytest.raises(FormatError, match=r"samples\.csv has 30 of 160 rows of report\.json"):
        open_run(path.parent)


def test_rows_that_the_report_does_not_count(run_of: RunOf) -> None:
    more, fewer = run_of("a"), run_of("b", images=("image-00", "image-01"))
    (fewer / "samples.csv").write_bytes((more / "samples.csv").read_bytes())
    with pytest.raises(FormatError, match=r"samples\.csv has 144 rows that report\.json does not count"):
        open_run(fewer)


def test_a_row_of_another_task_is_missed(run_of: RunOf) -> None:
    with pytest.raises(FormatError, match=r"samples\.csv has 159 of 160 rows"):
        open_run(change(run_of("a"), 2, "task", "car-to-sky"))


def test_a_folder_that_is_no_report(run_of: RunOf, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a report"):
        open_run(tmp_path / "nowhere")
    run = run_of("a")
    (run / "samples.csv").unlink()
    with pytest.raises(DataError, match=r"has no readable samples\.csv"):
        open_run(run)


def test_counts_of_an_engine_that_the_report_does_not_know(run_of: RunOf) -> None:
    with pytest.raises(FormatError, match=r"report\.json has no engine x of espnet-camvid"):
        open_run(change(run_of("a"), 2, "engine", "x"))

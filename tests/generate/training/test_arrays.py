"""Arrays that training keeps on disk are whole and as they were written, or they are not used."""

from pathlib import Path

import numpy as np
import pytest

from segeval.errors import IntegrityError
from segeval.generate.training.arrays import is_whole, mapped, record_of, writing

ROWS = np.random.default_rng(0).random((5, 3, 2)).astype(np.float16)


def write(path: Path, rows: int = len(ROWS)) -> None:
    with writing(path, ROWS.shape, np.float16) as add:
        for row in ROWS[:rows]:
            add(row)
        if rows < len(ROWS):
            raise RuntimeError


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new/a.npy"
    write(path)
    assert is_whole(path)
    np.testing.assert_array_equal(mapped(path), ROWS)
    np.testing.assert_array_equal(np.load(path), ROWS)


def test_an_array_that_was_not_finished_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    with pytest.raises(RuntimeError):
        write(path, 3)
    assert not is_whole(path) and not list(tmp_path.iterdir())
    write(path)
    with pytest.raises(RuntimeError):
        write(path, 3)
    assert not is_whole(path)


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    for file in (path, record_of(path)):
        write(path)
        data = bytearray(file.read_bytes())
        data[-20] ^= 1
        file.write_bytes(data)
        with pytest.raises(IntegrityError, match="changed after it was written"):
            mapped(path)

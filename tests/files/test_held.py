"""A folder that is being written into and is removed meanwhile is not made again, nor is one in its place used."""

from pathlib import Path

import pytest

from segeval.errors import DataError, StorageError
from segeval.files.exclusive import only_writer
from segeval.files.held import held, make_folder
from segeval.files.storage import sha256_file, write_atomic


def test_folders_are_made_below_one_that_is_held_and_anywhere_else(tmp_path: Path) -> None:
    with only_writer(tmp_path / "new" / "out", "set"):
        write_atomic(tmp_path / "new/out/a/b/c.txt", b"1")
        make_folder(tmp_path / "elsewhere/a/b")
    assert (tmp_path / "new/out/a/b/c.txt").read_bytes() == b"1"
    assert (tmp_path / "elsewhere/a/b").is_dir()


def test_a_removed_folder_is_not_made_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with only_writer(out, "set"):
        out.rename(tmp_path / "away")
        for name in ("a.txt", "a/b/c.txt"):
            with pytest.raises(StorageError, match=f"{out} was removed while it was being written"):
                write_atomic(out / name, b"1")
        with pytest.raises(StorageError, match="was removed"):
            make_folder(out)
    assert not out.exists()
    make_folder(out)  # nobody writes into it any more


def test_nothing_is_written_into_another_folder_in_its_place(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with only_writer(out, "set"):
        out.rmdir()
        out.mkdir()
        with pytest.raises(StorageError, match="was removed"):
            write_atomic(out / "a.txt", b"1")
    assert not list(out.iterdir())


def test_a_folder_within_one_that_was_removed_is_gone_too(tmp_path: Path) -> None:
    outer, inner = tmp_path / "outer", tmp_path / "outer/sets/inner"
    with only_writer(outer, "experiment"), only_writer(inner, "set"):
        write_atomic(inner / "a.txt", b"1")
        outer.rename(tmp_path / "away")
        with pytest.raises(StorageError, match="was removed"), only_writer(outer / "sets/next", "set"):
            pass
        with pytest.raises(StorageError, match="was removed"):
            write_atomic(inner / "b.txt", b"1")
    assert not outer.exists()


def test_what_is_gone_already_cannot_be_held(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="was removed"), held(tmp_path / "gone"):
        pass


def test_a_file_that_goes_with_its_held_folder_is_not_called_unreadable(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "image.png").write_bytes(b"1")
    with held(folder):
        folder.rename(tmp_path / "away")
        with pytest.raises(StorageError, match=f"{folder} was removed while it was being written"):
            sha256_file(folder / "image.png")
    with pytest.raises(DataError, match="cannot be read: No such file"):
        sha256_file(folder / "image.png")

"""Files on disk: atomic writes, hashes, and reading with limits.

A folder of segeval is complete or marked as incomplete; no file is ever half-written under its final name.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from segeval.errors import DataError, FormatError, IntegrityError, StorageError
from segeval.files.held import make_folder, require_held
from segeval.files.sets import FileRecord
from segeval_runner.strict import lines, open_regular, read_regular

MOST_BYTES = 64 << 20
"""Of a set's manifest, of one of its records, and of the margins of one sample."""


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals while writing `path` into StorageError."""
    try:
        yield
    except OSError as error:
        require_held(path)  # of a folder that is gone, that is the reason
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"no space left on the disk of {path}",
                "free some space, then run the same command again (craft, train and reproduce with --resume)",
            ) from error
        raise StorageError(f"cannot write {path}: {error.strerror}", "choose another folder with --out") from error


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that gets the name `path` once it is whole, or never. Makes its folder. Raises StorageError."""
    part = path.with_name(path.name + ".part")
    with explaining(path):
        make_folder(path.parent)
        try:
            part.unlink(missing_ok=True)
            # Made anew: what already lies there could be a link that leads elsewhere.
            with part.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file completely or not at all. Makes its folder. Raises StorageError."""
    with replacing(path) as file:
        file.write(data)


def sha256(data: bytes) -> str:
    """Hex digest of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex digest of a file, read in pieces. Raises DataError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        require_held(path)
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def inside(root: Path, path: str) -> Path:
    """The file `path` below `root`. Raises FormatError if it climbs out, cannot be, or meets a link, pipe or device."""
    relative = PurePosixPath(path)
    if relative.is_absolute() or ".." in relative.parts or "\\" in path or "\0" in path or not relative.parts:
        raise FormatError(f"{root}: the path {path!r} leads out of the folder", "the file was not written by segeval")
    found = root
    for part in relative.parts:
        found = found / part
        try:
            kind = stat.S_IFMT(found.lstat().st_mode)
        except FileNotFoundError:
            break  # of what is not there, nothing below is there
        except (OSError, ValueError) as error:
            raise FormatError(f"{root}: the path {path[:200]!r} is not valid: {error}") from error
        if kind not in (stat.S_IFREG, stat.S_IFDIR):
            what = f"{found} is a symbolic link, a pipe or a device; a folder of segeval has none"
            raise FormatError(what, "copy the folder without links, or do not use it")
    return root.joinpath(*relative.parts)


def read_file(path: Path, most: int) -> bytes:
    """A plain file of at most `most` bytes. Raises FormatError for any other, OSError if it cannot be read."""
    try:
        return read_regular(path, most)
    except ValueError as error:
        raise FormatError(f"{path} cannot be read: {error}") from error


def read_lines(path: Path, most: int) -> Iterator[bytes]:
    """The lines of a plain file. Raises FormatError for one of more than `most` bytes, OSError if it cannot be read."""
    try:
        with open_regular(path) as file:
            yield from lines(file, most)
    except ValueError as error:
        raise FormatError(f"{path} cannot be read: {error}") from error


def require_recorded(root: Path, record: FileRecord) -> None:
    """Raise IntegrityError unless a file below `root` is the recorded one, DataError if it is missing."""
    path = inside(root, record.path)
    if not path.is_file():
        raise DataError(f"{path} is missing", "restore it, or craft the set again into a new folder")
    if sha256_file(path) != record.sha256:
        hint = "restore the file, or craft the set again into a new folder"
        raise IntegrityError(f"{path} is not the file that was recorded", hint)

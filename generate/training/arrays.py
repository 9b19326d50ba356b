"""Large arrays on disk: written row by row, mapped into memory to be read, proved by their hash."""

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from segeval.errors import IntegrityError
from segeval.files.encoding import decode, encode_sealed
from segeval.files.storage import replacing, sha256_file, write_atomic

Row = NDArray[Any]


@dataclass(frozen=True)
class ArrayRecord:
    """NAME.json beside NAME.npy, written last, as the sign that the array is whole."""

    sha256: str


def record_of(path: Path) -> Path:
    """Where the record of an array lies."""
    return path.with_suffix(".json")


@contextmanager
def writing(path: Path, shape: tuple[int, ...], kind: DTypeLike) -> Iterator[Callable[[Row], None]]:
    """Write a .npy file of this shape; the block is given a function that takes one row after the other.

    Plain writes, not a memory map: on a full disk a map kills the process with SIGBUS, a write says so.
    Raises StorageError.
    """
    digest = hashlib.sha256()
    record_of(path).unlink(missing_ok=True)
    with replacing(path) as file:

        def write(data: bytes) -> None:
            digest.update(data)
            file.write(data)

        header = io.BytesIO()
        descr = np.lib.format.dtype_to_descr(np.dtype(kind))
        np.lib.format.write_array_header_1_0(header, {"descr": descr, "fortran_order": False, "shape": shape})
        write(header.getvalue())
        yield lambda row: write(np.ascontiguousarray(row, kind).tobytes())
    write_atomic(record_of(path), encode_sealed(ArrayRecord(digest.hexdigest())))


def is_whole(path: Path) -> bool:
    """Whether an array was written to its end."""
    return path.exists() and record_of(path).exists()


def mapped(path: Path) -> NDArray[Any]:
    """A whole array, read from the disk as it is used. Raises IntegrityError if it was changed."""
    record = decode(record_of(path).read_bytes(), ArrayRecord, str(record_of(path)))
    if sha256_file(path) != record.sha256:
        raise IntegrityError(f"{path} was changed after it was written", f"remove the folder {path.parent}")
    found: NDArray[Any] = np.load(path, mmap_mode="r")
    return found

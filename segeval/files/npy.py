"""Arrays of floats as .npy files."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segeval.files.sets import FileRecord
from segeval.files.storage import inside, sha256, write_atomic

Margins = NDArray[np.float16]


HEADER_BYTES = 128
"""Of a .npy file with a vector."""


def save_npy(root: Path, path: str, array: NDArray[np.floating]) -> FileRecord:
    """Save an array as .npy below `root`. Raises StorageError."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_atomic(inside(root, path), buffer.getvalue())
    return FileRecord(path, sha256(buffer.getvalue()))


def half_header(count: int) -> bytes:
    """What `save_npy` writes before the numbers of a float16 vector: HEADER_BYTES, whatever the count."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f2", "fortran_order": False, "shape": (count,)})
    return buffer.getvalue()


def half_vector(data: bytes) -> NDArray[np.float16]:
    """The numbers in a .npy file, as `save_npy` writes a float16 vector. Raises ValueError for any other file."""
    count, left = divmod(len(data) - HEADER_BYTES, 2)
    # Compared, not parsed: NumPy's parser of headers is Python's own, which hostile ones bring down in many ways.
    if count < 0 or left or not data.startswith(half_header(count)):
        raise ValueError(f"its {len(data)} bytes are not a float16 vector as segeval writes it: {data[:80]!r}")
    found = np.frombuffer(data, np.float16, offset=HEADER_BYTES)
    if not np.isfinite(found).all():
        raise ValueError("a number in it is not finite")
    return found

"""Writing a bundle: inputs streamed into shards, every file hashed."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segeval.errors import ConfigurationError
from segeval.files.bundles import BundledFile, InputKey, Inputs, Shard
from segeval.files.encoding import encode
from segeval.files.held import make_folder
from segeval.files.images import RgbImage
from segeval.files.storage import explaining, sha256_file

SHARDS = 8
"""Files that many images are spread over at the least, so that a device hashes them on all its cores."""
LEAST_BYTES = 2 << 20
"""Size below which a shard is not divided for that."""
MOST_BYTES = 256 << 20
"""Largest size of a shard, so that a copy can be resumed by file."""

INDEX = "inputs/index.jsonl"


@dataclass(frozen=True)
class Input:
    """An image to bundle.

    Attributes:
        key: "clean/IMAGE", "adversarial/SAMPLE", or one of them after a corruption (`corrupted_key`).
        load: reads it, (H, W, 3).
    """

    key: str
    load: Callable[[], RgbImage]


def write_inputs(
    root: Path, inputs: Sequence[Input], height: int, width: int, progress: Callable[[int, int], None]
) -> Inputs:
    """Write index and shards below `root`, one image in memory at a time.

    Plain writes, not a memory map: on a full disk a map kills the process with SIGBUS, a write says so.
    Raises StorageError, and ConfigurationError for an image of another size.
    """
    size = height * width * 3
    per_shard = max(1, min(max(len(inputs) * size // SHARDS, LEAST_BYTES), MOST_BYTES) // size)
    shards: list[Shard] = []
    for first in range(0, len(inputs), per_shard):
        part = inputs[first : first + per_shard]
        shard = Shard(f"inputs/shard-{len(shards):05d}.npy", first, len(part))
        path = root / shard.file
        with explaining(path):
            make_folder(path.parent)
            with path.open("wb") as file:
                header = {"descr": "|u1", "fortran_order": False, "shape": (len(part), height, width, 3)}
                np.lib.format.write_array_header_1_0(file, header)
                for position, item in enumerate(part, start=first + 1):
                    image = item.load()
                    if image.shape != (height, width, 3):
                        raise ConfigurationError(f"{item.key} is {image.shape[:2]}, the set is {(height, width)}")
                    file.write(image.tobytes())
                    progress(position, len(inputs))
        shards.append(shard)
    write_file(root, INDEX, b"".join(encode(InputKey(item.key)) + b"\n" for item in inputs))
    return Inputs(len(inputs), height, width, INDEX, tuple(shards))


def write_file(root: Path, name: str, data: bytes, executable: bool = False) -> None:
    """Write one file of an unfinished bundle. Raises StorageError."""
    path = root / name
    with explaining(path):
        make_folder(path.parent)
        path.write_bytes(data)
        if executable:
            path.chmod(0o755)


def hash_files(root: Path) -> dict[str, BundledFile]:
    """Size and hash of every file below `root`, made durable first."""
    found = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        with explaining(path), path.open("rb") as file:
            os.fsync(file.fileno())
        found[path.relative_to(root).as_posix()] = BundledFile(sha256_file(path), path.stat().st_size)
    return found


def ranges(indices: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Ascending indices as half-open ranges: 0 1 2 5 6 → (0, 3), (5, 7)."""
    found: list[tuple[int, int]] = []
    for index in indices:
        if found and found[-1][1] == index:
            found[-1] = (found[-1][0], index + 1)
        else:
            found.append((index, index + 1))
    return tuple(found)

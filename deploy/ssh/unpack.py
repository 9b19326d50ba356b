"""Unpacks results that are not trusted.

Only plain files are written, only those in the leading manifest, with its sizes and hashes, in one folder, and at most
as many bytes as the caller allows.
"""

import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Literal

from msgspec import Meta

from segeval.errors import FormatError, IntegrityError
from segeval.files.encoding import decode
from segeval.files.folders import require_own
from segeval.files.storage import explaining, inside

MANIFEST = "manifest.json"
MOST_MANIFEST_BYTES = 4 << 20
MOST_FILES = 10_000
MOST_DEPTH = 8
CHUNK = 1 << 20
LAST = "replay.json"
"""Put in place after everything else: a folder that was interrupted is no replay yet."""
HINT = "the file was not written by segeval, or was changed; do not use it"


@dataclass(frozen=True)
class PackedFile:
    """Hash and size of a file."""

    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    bytes: Annotated[int, Meta(ge=0)]


@dataclass(frozen=True)
class Results:
    """The manifest in a results.tar. files: by path."""

    schema: Literal["segeval.results/1"]
    files: Mapping[str, PackedFile]


def unpack(path: Path, out: Path, most_bytes: int) -> None:
    """Put the files of a results.tar into the folder `out`, in place of those of the same names.

    Raises FormatError or IntegrityError, with `out` as it was, ConfigurationError if `out` holds anything but a replay,
    and StorageError.
    """
    require_own(out, "replay", "remote")
    with explaining(out):
        out.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".unpacked.", suffix=".part", dir=out))
    try:
        try:
            with tarfile.open(path, "r:") as tar:
                names = extract(tar, part, path, most_bytes)
        except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
            raise FormatError(f"{path} is not a file of results: {error}", HINT) from error
        move(part, out, names)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def extract(tar: tarfile.TarFile, part: Path, path: Path, most_bytes: int) -> list[str]:
    """Write and prove every file. Returns their names."""
    first = tar.next()
    if first is None or first.name != MANIFEST:
        raise FormatError(f"{path} does not begin with {MANIFEST}", HINT)
    files = manifest(content(tar, first, MOST_MANIFEST_BYTES, path).read(), path, most_bytes)
    left = dict(files)
    while (member := tar.next()) is not None:
        recorded = left.pop(member.name, None)
        if recorded is None:
            raise FormatError(f"{path} holds {member.name!r}, which is not in its manifest", HINT)
        source = content(tar, member, recorded.bytes, path)
        if member.size != recorded.bytes or written(source, inside(part, member.name)) != recorded.sha256:
            raise IntegrityError(f"{path}: {member.name} is not the file that was packed", "pack and copy it again")
    if left:
        raise IntegrityError(f"{path} is cut off: {next(iter(left))} is missing", "copy it again")
    return list(files)


def manifest(data: bytes, path: Path, most_bytes: int) -> Mapping[str, PackedFile]:
    """The announced files. Raises FormatError for names and sizes that cannot be."""
    files = decode(data, Results, f"{path}: {MANIFEST}").files
    total = sum(file.bytes for file in files.values())
    if len(files) > MOST_FILES or total > most_bytes:
        what = f"{path} announces {len(files)} files with {total} bytes"
        raise FormatError(what, f"at most {MOST_FILES} files with {most_bytes} bytes can be right")
    for name in files:
        target = inside(path.parent, name)
        depth = len(target.relative_to(path.parent).parts)
        if depth > MOST_DEPTH or not name.isprintable() or target.relative_to(path.parent).as_posix() != name:
            raise FormatError(f"{path}: the name {name!r} is not valid", HINT)
    return files


def content(tar: tarfile.TarFile, member: tarfile.TarInfo, most_bytes: int, path: Path) -> IO[bytes]:
    """What a plain file of the archive holds. Raises FormatError for links, devices, sparse and too large files."""
    if not member.isreg() or member.issparse() or member.size > most_bytes:
        raise FormatError(f"{path}: {member.name!r} is not a plain file of the announced size", HINT)
    source = tar.extractfile(member)
    assert source is not None, "plain files have a content"
    return source


def written(source: IO[bytes], target: Path) -> str:
    """Copy into a new file. Returns the hash of what was written. Raises StorageError."""
    digest = hashlib.sha256()
    with explaining(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    return digest.hexdigest()


def move(part: Path, out: Path, names: list[str]) -> None:
    """Put proved files in their places. Raises StorageError, and FormatError where a link would lead elsewhere."""
    for name in sorted(names, key=lambda name: name == LAST):
        target = inside(out, name)
        with explaining(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            (part / name).replace(target)

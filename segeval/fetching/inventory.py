"""Which files of a source are in the cache, decided by their hashes, not their names."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segeval.fetching.sources import RemoteFile, Source

PIECE = 1 << 20


@dataclass(frozen=True)
class Inventory:
    """The files of a source.

    Attributes:
        missing: not there.
        different: there, with another content than recorded.
    """

    source: Source
    files: Sequence[RemoteFile]
    missing: Sequence[RemoteFile]
    different: Sequence[RemoteFile]

    @property
    def wanted(self) -> list[RemoteFile]:
        """The files to download, in the order of the source."""
        wanted = {*self.missing, *self.different}
        return [file for file in self.files if file in wanted]


def digest(path: Path, algorithm: str) -> str:
    """``sha256:…`` or ``git:…`` of a file."""
    if algorithm == "git":  # what `git hash-object` prints
        hashed = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    else:
        hashed = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            hashed.update(piece)
    return f"{algorithm}:{hashed.hexdigest()}"


def found(file: RemoteFile, path: Path) -> str:
    """The digest of the file at `path`, in the form of the one that is recorded."""
    return digest(path, file.digest.partition(":")[0])


def take(source: Source, cache: Path) -> Inventory:
    """Hash what is in the cache folder."""
    files = source.files()
    missing: list[RemoteFile] = []
    different: list[RemoteFile] = []
    for file in files:
        path = cache / file.path
        if not path.is_file():
            missing.append(file)
        elif found(file, path) != file.digest:
            different.append(file)
    return Inventory(source, files, missing, different)

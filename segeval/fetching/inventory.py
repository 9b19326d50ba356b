"""Which files of a source are where commands look for them, decided by their hashes, not their names."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from segeval.fetching.sources import RemoteFile, Source
from segeval.places import cache_folder, places_of

State = Literal["here", "missing", "damaged"]
WEIGHTS = "weights"
"""The folder whose files are looked for one by one; datasets are looked for as a whole."""

PIECE = 1 << 20


@dataclass(frozen=True)
class Inventory:
    """The files of a source.

    Attributes:
        missing: not there.
        different: there, with another content than recorded.
        folder: of the files.
    """

    source: Source
    files: Sequence[RemoteFile]
    missing: Sequence[RemoteFile]
    different: Sequence[RemoteFile]
    folder: Path

    @property
    def is_cached(self) -> bool:
        """Whether commands read these files from the cache, and not from ``$SEGEVAL_DATA``."""
        return self.folder.is_relative_to(cache_folder())

    @property
    def local(self) -> str:
        """How much is there, in a word or two."""
        total, wanted = len(self.files), len(self.wanted)
        if not wanted:
            return "here"
        if wanted < total:
            return f"{total - wanted} of {total} files"
        if total > 1 and not self.is_cached:
            return "other files"
        return "damaged" if len(self.different) == total else "missing"

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


def place_of(path: str) -> Path:
    """Where commands read a file of the cache: in ``$SEGEVAL_DATA`` if its dataset or weight file is there."""
    top, _, rest = path.partition("/")
    name, inside = (path, "") if top == WEIGHTS else (top, rest)
    return next(filter(Path.exists, places_of(name)), cache_folder() / name) / inside


def state_of(path: str, recorded: str) -> State:
    """Whether a file of the cache is here with the recorded digest; `segeval fetch` and `segeval ls` ask this alone."""
    place = place_of(path)
    if not place.is_file():
        return "missing"
    return "here" if digest(place, recorded.partition(":")[0]) == recorded else "damaged"


def take(source: Source) -> Inventory:
    """Hash what is here."""
    files = source.files()
    states = {file: state_of(file.path, file.digest) for file in files}
    missing, different = ([file for file in files if states[file] == state] for state in ("missing", "damaged"))
    depth = len(PurePosixPath(files[0].path).parts) - 2
    return Inventory(source, files, missing, different, place_of(files[0].path).parents[depth])

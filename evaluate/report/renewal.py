"""Replaces the files of a report as a whole: a reader finds all of the old ones, all of the new ones, or none.

New ones are written into a hidden folder inside of their own: it is on the same disk, whatever is mounted there, and
files of others beside a report stay where they are. They are moved once all are there, in steps that can be repeated:
1. the hidden folder gets the name READY, from which moment on the new report counts;
2. the record (report.json) of the old report becomes OLD: there is no report;
3. what the old report had and the new one lacks is removed, then OLD;
4. the new files are moved into place, the record last: there is a report again.
A process that is killed between them leaves no record, and the next one that writes there finishes.
"""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from segeval.errors import FormatError, IntegrityError
from segeval.files.exclusive import lock
from segeval.files.held import make_folder
from segeval.files.storage import explaining, inside, read_file, sha256, sha256_file
from segeval_runner.ownership import UNFINISHED
from segeval_runner.strict import loads

MOST_BYTES = 1 << 30
AGAIN = "make it again, or copy the whole folder again"


@dataclass(frozen=True)
class Kept:
    """What is kept in a folder.

    Attributes:
        kind: as in `segeval_runner.ownership`.
        record: the file that makes it one.
        names: patterns of the paths of all others, in which a star also stands for slashes.
    """

    kind: str
    record: str
    names: tuple[str, ...]

    @property
    def new(self) -> str:
        """Where its files are written before any is moved."""
        return f".{self.kind}.new{UNFINISHED}"

    @property
    def ready(self) -> str:
        """What that folder is called once they are moved."""
        return f".{self.kind}.ready{UNFINISHED}"

    @property
    def old(self) -> str:
        """What the earlier record is called while its files are removed."""
        return f".{self.kind}.old{UNFINISHED}"

    def takes(self, path: str) -> bool:
        """Whether a path in the folder is one of its files."""
        parts = (self.record, self.new, self.ready, self.old)
        return path.split("/")[0] in parts or any(fnmatchcase(path, name) for name in self.names)


def make_above(out: Path) -> None:
    """Make the folders above the one of a report. Raises StorageError."""
    with explaining(out):
        out.parent.mkdir(parents=True, exist_ok=True)


@contextmanager
def renewed(out: Path, kept: Kept) -> Iterator[Path]:
    """A folder to write into; when the block ends well, its files take the place of those in `out`.

    `out` is made if it is not there; what is above it has to be. Nobody else writes into it meanwhile, and it is as it
    was if the block fails. Raises ConfigurationError if another process writes there, StorageError.
    """
    made = not out.exists()
    with explaining(out):
        out.mkdir(exist_ok=True)
    try:
        with alone(out):
            with explaining(out):
                settle(out, kept)
                discard(out / kept.new)
                (out / kept.new).mkdir()
            try:
                yield out / kept.new
                for name in files_below(out / kept.new):
                    inside(out, name)
                with explaining(out):
                    (out / kept.new).replace(out / kept.ready)
                    settle(out, kept)
            finally:
                discard(out / kept.new)
    finally:
        if made and out.is_dir() and not any(out.iterdir()):
            out.rmdir()


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Hold a folder against others that write reports. Raises ConfigurationError if one does, StorageError."""
    if sys.platform == "win32":  # which cannot lock a folder
        yield
        return
    with explaining(out):
        descriptor = os.open(out, os.O_RDONLY)
    try:
        lock(descriptor, out)
        yield
    finally:
        os.close(descriptor)


def finish(out: Path, kept: Kept) -> None:
    """Finish what a writer that was killed had begun. Raises OSError, FormatError, ConfigurationError."""
    if (out / kept.ready).is_dir():
        with alone(out):
            settle(out, kept)


def settle(out: Path, kept: Kept) -> None:
    """Move files that are all there into place, as far as that was not done. Raises OSError, FormatError."""
    ready, record, old = out / kept.ready, out / kept.record, out / kept.old
    if (ready / kept.record).is_file():
        if record.exists():
            record.replace(old)
        if old.exists():
            remove_files(out, earlier_files(out, old, kept) - set(files_below(ready)))
            old.unlink()
        names = [name for name in files_below(ready) if name != kept.record]
        for name in (*names, kept.record):
            target = inside(out, name)
            make_folder(target.parent)
            (ready / name).replace(target)
    discard(ready)


def earlier_files(out: Path, record: Path, kept: Kept) -> set[str]:
    """Files of a report by its record; of one that does not tell, those that are called as a report's."""
    try:
        told = loads(read_file(record, MOST_BYTES)).get("files")
    except (ValueError, AttributeError, FormatError):
        told = None
    if isinstance(told, dict) and told:
        return set(told)
    return {name for name in files_below(out) if not name.startswith(".") and kept.takes(name)}


def remove_files(out: Path, names: set[str]) -> None:
    """Remove files of a folder as far as they are there, and folders below it that are empty then."""
    for name in sorted(names):
        try:
            path = inside(out, name)
        except FormatError:
            continue  # it leads elsewhere, and so is not ours
        if path.is_file():
            path.unlink()
        for folder in path.parents:
            if folder == out or not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()


def files_below(folder: Path) -> list[str]:
    """Paths of the files in a folder and below it, with forward slashes, sorted."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def hashes_below(folder: Path) -> dict[str, str]:
    """SHA-256 of every file in a folder and below it."""
    return {name: sha256_file(folder / name) for name in files_below(folder)}


def hashes_of(files: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 of files that are not written yet, by name, as `hashes_below` has them."""
    return {name: sha256(data) for name, data in sorted(files.items()) if data}


def require_recorded(folder: Path, files: Mapping[str, str], record: str) -> None:
    """Raise IntegrityError if a file of a report is not the one that its record tells of.

    Files that were not copied along are not missed here.

    Args:
        folder: of the report.
        files: SHA-256 by name; empty in reports of earlier versions.
        record: name of the file that holds the hashes.
    """
    for name, expected in files.items():
        path = inside(folder, name)
        if path.is_file() and sha256_file(path) != expected:
            raise IntegrityError(f"{path} is not the file that {record} tells of: it was changed or replaced", AGAIN)


def discard(path: Path) -> None:
    """Remove a file or folder of ours, if it is there; of a link, the link alone."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)

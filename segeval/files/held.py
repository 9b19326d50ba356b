"""Folders that a command is writing to. If one is removed meanwhile, the next write does not create it again."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segeval.errors import StorageError

_held: dict[Path, int] = {}
"""Absolute path and descriptor of every folder that this process holds. Open, an inode's number is no other's."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """While the block runs, `make_folder` and `require_held` raise once `folder` is not the one that it is now.

    Raises StorageError if it was removed already.
    """
    path = folder.absolute()
    if path in _held:  # by the caller already
        yield
        return
    try:
        _held[path] = os.open(path, os.O_RDONLY)
    except FileNotFoundError as error:
        raise removed(path) from error
    try:
        yield
    finally:
        os.close(_held.pop(path))


def make_folder(folder: Path) -> None:
    """Make a folder with those above it, but none that is held. Raises StorageError if one was removed, OSError."""
    path = folder.absolute()
    holder = require_held(path)
    if holder is None:
        path.mkdir(parents=True, exist_ok=True)
        return
    for parent in reversed([path, *path.parents][: len(path.parts) - len(holder.parts)]):
        try:
            parent.mkdir(exist_ok=True)  # without those above: the held one may be removed at any moment
        except FileNotFoundError as error:
            raise removed(holder) from error


def require_held(path: Path) -> Path | None:
    """The innermost held folder at or above `path`; None if there is none. Raises StorageError if it was removed."""
    path = path.absolute()
    holders = [folder for folder in _held if path.is_relative_to(folder)]
    for folder in holders:
        try:
            there = os.path.samestat(folder.stat(), os.fstat(_held[folder]))
        except OSError:
            there = False
        if not there:
            raise removed(folder)
    return max(holders, key=lambda folder: len(folder.parts), default=None)


def removed(folder: Path) -> StorageError:
    """The error for a folder that was removed, renamed or replaced."""
    return StorageError(
        f"{folder} was removed while it was being written",
        "run the same command again, without --resume, or put the folder back",
    )

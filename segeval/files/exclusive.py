"""A lock for one writing process per folder, since two that resume the same work would append records twice."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segeval.errors import ConfigurationError
from segeval.files.folders import require_own
from segeval.files.held import held, make_folder
from segeval.files.storage import explaining
from segeval_runner.exclusive import locked_at_once


@contextmanager
def only_writer(folder: Path, *own: str) -> Iterator[None]:
    """Hold a folder, which is made if it is not there; it leaves no file, and ends with the process however that ends.

    A folder that is removed in the block is not made again: see `held`.

    Args:
        folder: to hold.
        *own: names of the kinds that the command makes; see `KINDS`.

    Raises:
        ConfigurationError: if another process holds it or it holds something else, StorageError. On Windows, and on a
            file system that cannot lock, nobody is kept out.
    """
    require_own(folder, *own)
    with explaining(folder):
        make_folder(folder)
    if sys.platform == "win32":
        yield
        return
    with explaining(folder):
        descriptor = os.open(folder, os.O_RDONLY)
    try:
        lock(descriptor, folder)
        with held(folder):
            yield
    finally:
        os.close(descriptor)


def lock(descriptor: int, folder: Path) -> None:
    """Lock an open folder until it is closed. Raises ConfigurationError if another process has it."""
    if not locked_at_once(descriptor):
        raise ConfigurationError(
            f"another process is writing into {folder}", "wait until it has finished, or choose another --out"
        )

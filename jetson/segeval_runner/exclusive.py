"""A lock for one writing process per folder, since two would damage each other's results."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Sequence

from segeval_runner.errors import OutputError, explaining
from segeval_runner.ownership import refusal

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None  # type: ignore[assignment]

PATIENCE_S = 5.0
"""How long a writer that is just ending is waited for, such as one whose parent was killed."""
POLL_S = 0.1
ELSEWHERE = "choose another folder with --out"


@contextmanager
def only_writer(folder: Path, own: str, beginning: Sequence[str] = ()) -> Iterator[None]:
    """Hold a folder that is new, vacant or of our own kind; it is made if it is not there.

    The lock leaves no file, and ends with the process however that ends.

    Args:
        folder: to hold.
        own: see `ownership.refusal`.
        beginning: likewise.

    Raises:
        OutputError: if the folder holds something else, if another process holds it, or if it cannot be written. On
            Windows, and on a file system that cannot lock, nobody is kept out.
    """
    require_own(folder, own, beginning)
    with explaining(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        yield
        return
    with explaining(folder):
        descriptor = os.open(str(folder), os.O_RDONLY)
    try:
        require_alone(descriptor, folder)
        require_own(folder, own, beginning)  # once more: whoever held it may have filled it
        yield
    finally:
        os.close(descriptor)


def require_own(folder: Path, own: str, beginning: Sequence[str] = ()) -> None:
    """Raise OutputError if a folder holds something else than what the command makes. See `ownership.refusal`."""
    with explaining(folder):
        why = refusal(folder, own, beginning)
    if why:
        raise OutputError(why, ELSEWHERE)


def require_alone(descriptor: int, folder: Path) -> None:
    """Lock an open folder until it is closed. Raises OutputError if another process has it and keeps it."""
    asked = time.monotonic()
    while not locked_at_once(descriptor):
        if time.monotonic() - asked > PATIENCE_S:
            raise OutputError("another process is writing into {}".format(folder), "wait for it, or " + ELSEWHERE)
        time.sleep(POLL_S)


def locked_at_once(descriptor: int) -> bool:
    """Lock an open file or folder until it is closed, where that can be done; False if another process has it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system that cannot lock
    return True

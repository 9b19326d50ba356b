"""A lock that allows one download into a cache at a time, since two would mix their unfinished files."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from segeval.fetching.download import storing
from segeval_runner.exclusive import POLL_S, locked_at_once


@contextmanager
def alone(cache: Path, waits: Callable[[], None]) -> Iterator[bool]:
    """Hold the cache folder; `waits` is called if another process has it, and True given once it has let it go.

    Raises StorageError.
    """
    path = cache / ".fetching"
    with storing(path):
        cache.mkdir(parents=True, exist_ok=True)
        file = path.open("wb")
    with file:
        waited = not locked_at_once(file.fileno())
        if waited:
            waits()
            while not locked_at_once(file.fileno()):
                time.sleep(POLL_S)
        yield waited

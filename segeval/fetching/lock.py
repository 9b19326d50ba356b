"""One download into a cache at a time: two would write into each other's unfinished files."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from segeval.fetching.download import storing

if sys.platform != "win32":
    import fcntl


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
        yield sys.platform != "win32" and lock(file.fileno(), waits)


def lock(descriptor: int, waits: Callable[[], None]) -> bool:
    """Lock an open file until it is closed; a file system that cannot lock is used without. True after a wait."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        waits()
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        return True
    except OSError:
        return False
    return False

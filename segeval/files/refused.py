"""A run that is refused leaves nothing in the way of the same command, corrected."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from segeval.errors import SegevalError, StorageError


@contextmanager
def undone_if_refused(folder: Path, new: bool, made: Sequence[str], begun: Callable[[], bool]) -> Iterator[None]:
    """Remove what a run made when the block refuses its input, unless some of its work is to be kept.

    What was interrupted, or met a full disk, stays: it can be resumed.

    Args:
        folder: that the run writes into.
        new: whether it was made for the run; then it is removed too.
        made: names of the files and folders that the run makes in it.
        begun: whether there is work to be kept.
    """
    try:
        yield
    except StorageError:
        raise
    except SegevalError:
        if not begun():
            remove(folder, made)
            if new:
                with suppress(OSError):  # somebody has put something else into it
                    folder.rmdir()
        raise


def remove(folder: Path, made: Sequence[str]) -> None:
    """Remove these files and folders of a folder, where they are."""
    for path in (folder / name for name in made):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

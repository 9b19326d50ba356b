"""The errors of the runner. Each says what is wrong and what to do, without a traceback."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

EXIT_FINE = 0
EXIT_REFUSED = 2
EXIT_INTERNAL = 3
EXIT_INTERRUPTED = 130


class RunnerError(Exception):
    """An expected failure.

    Attributes:
        what: the problem and where it is.
        hint: what to do about it; may be empty.
    """

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class BundleError(RunnerError):
    """A bundle that is malformed, incomplete or not as it was written."""


class OutputError(RunnerError):
    """A replay folder that cannot be written or belongs to another bundle."""


class ConditionError(RunnerError):
    """A machine that is not fit for the measurement that was asked for."""


class BackendError(RunnerError):
    """An engine that is missing, failed, or computed something that cannot be right."""


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals while writing `path` into OutputError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "free some space, then run the same command again; what is done is kept"
            raise OutputError("no space left on the disk of {}".format(path), hint) from error
        raise OutputError(
            "cannot write {}: {}".format(path, error.strerror), "choose another folder with --out"
        ) from error

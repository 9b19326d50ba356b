"""A folder that appears completely or not at all."""

import glob
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from segeval.errors import ConfigurationError
from segeval.files.exclusive import lock
from segeval.files.folders import require_own
from segeval.files.held import held, require_held
from segeval.files.storage import explaining


@contextmanager
def new_folder(out: Path, own: str, tell: Callable[[str], None] = lambda text: None) -> Iterator[Path]:
    """A folder to fill that becomes `out` when the block ends well, and vanishes when it does not.

    What an earlier process left half-done when it was killed is removed first, and `tell` is called with its name.

    Args:
        out: the folder to make.
        own: kind of what `out` gets.
        tell: called with what a person should know.

    Raises:
        ConfigurationError: if `out` is in use.
        StorageError: if it cannot be written.
    """
    require_own(out, own)
    if out.exists() and any(out.iterdir()):
        raise ConfigurationError(f"{out} is not empty", "choose another folder with --out, or remove it")
    for stale in removed_stale(out):
        tell(f"removed {stale}: a run that was killed left it unfinished")
    with explaining(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
    with reserved(part):
        try:
            with held(part):
                yield part
                require_held(part)
            part.chmod(0o755)  # mkdtemp makes it private
            with explaining(out):
                part.replace(out)
        finally:
            shutil.rmtree(part, ignore_errors=True)


@contextmanager
def reserved(folder: Path) -> Iterator[None]:
    """Hold a folder against `removed_stale`, until the block or the process ends. Raises ConfigurationError."""
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def removed_stale(out: Path) -> Iterator[Path]:
    """Remove unfinished folders of `out` whose process has ended; returns their names."""
    for part in out.parent.glob(f".{glob.escape(out.name)}.*.part"):
        try:
            with reserved(part):
                shutil.rmtree(part, ignore_errors=True)
            yield part
        except (ConfigurationError, OSError):
            continue  # another process is at it, or it has just gone

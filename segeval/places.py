"""Folders outside a run: data the user points at, and the cache."""

import os
from pathlib import Path


def with_home(text: str | Path) -> Path:
    """A path with ``~`` expanded; as it is where there is no such user, which is how shells leave it."""
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def named(folder: Path) -> Path:
    """A folder whose path ends with its name: as it is, or absolute where it is ``.`` or ``..``."""
    return folder if folder.name not in ("", "..") else folder.resolve()


KINDS = ("set", "bundle", "replay", "bench", "report")
"""What commands write, as their folders are called."""


def neighbour(folder: Path, kind: str) -> Path:
    """The place beside a folder for what is made of it: ``bundle`` of ``set``, ``orin-replay`` of ``orin-bundle``."""
    found = named(folder)
    stem, _, ending = found.name.rpartition("-")
    called = stem if ending in KINDS else found.name
    return found.with_name(f"{called}-{kind}" if called else kind)


def data_folder() -> Path | None:
    """``$SEGEVAL_DATA``: a folder with datasets and weights, if the user has one."""
    named = os.environ.get("SEGEVAL_DATA")
    return with_home(named) if named else None


def dataset_root(text: str | Path | None) -> Path | None:
    """The folder that a ``data_root`` names, absolute and with ``~`` expanded; None where none is named."""
    return with_home(text).resolve() if text else None


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/segeval``, or ``~/.cache/segeval``."""
    named = os.environ.get("XDG_CACHE_HOME")
    return (with_home(named) if named else Path.home() / ".cache") / "segeval"


ALSO = {"cityscapes": ("cityscapes_frames",)}
"""Other names that a dataset may have in ``$SEGEVAL_DATA``."""


def places_of(name: str) -> list[Path]:
    """Where a dataset, or a weight file as ``weights/FILE``, is looked for, in order: ``$SEGEVAL_DATA``, the cache."""
    shared = data_folder()
    return [*(shared / each for each in (name, *ALSO.get(name, ())) if shared), cache_folder() / name]

"""What a folder belongs to: no command of segeval writes into a folder with other contents."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Optional, Sequence, Tuple

NOTHING = "nothing"
"""The kind of a folder that is not there or empty, but for what a writer that was killed leaves behind."""
OTHER = "other"
"""The kind of a folder whose files segeval did not make, and of what is no folder."""
UNFINISHED = ".part"
"""How the names of files and folders end that are still being written."""


class Kind(NamedTuple):
    """What a command makes.

    Attributes:
        words: what it is called.
        manifests: what lies in its folder, the first names it.
    """

    name: str
    words: str
    manifests: Tuple[str, ...]

    def fits(self, folder: Path) -> bool:
        """Whether a folder is of this kind."""
        return all((folder / name).exists() for name in self.manifests)


KINDS = (
    Kind("set", "an adversarial set", ("set.json",)),
    Kind("replay", "a replay", ("replay.json",)),  # before the bundle, whose manifest it has a copy of
    Kind("remote", "a replay on a device", ("remote.json",)),  # which was not fetched yet
    Kind("bundle", "a bundle", ("bundle.json", "runner.pyz")),
    Kind("bench", "a benchmark", ("bench.json",)),
    Kind("report", "a report", ("report.json",)),
    Kind("compare", "a comparison of two reports", ("compare.json",)),
    Kind("experiment", "a reproduction", ("experiment.json",)),
    Kind("kang2020", "the report of a reproduction", ("kang2020.json",)),
    Kind("maps", "the maps of a reproduction", ("maps.json",)),
    Kind("pattern", "a fitted pattern", ("pattern.json",)),
    Kind("train", "a training", ("train.json",)),
    Kind("run", "the log of a detached run", ("run.json", "log")),
)


def kind_of(folder: Path) -> str:
    """What a folder holds: the name of one of KINDS, NOTHING or OTHER. Raises OSError for one that cannot be read."""
    found = kind_in(folder)
    if found is not None:
        return found.name
    return NOTHING if is_vacant(folder) else OTHER


def kind_in(folder: Path) -> Optional[Kind]:
    """The first of KINDS that a folder is of, None for none."""
    return next((kind for kind in KINDS if kind.fits(folder)), None)


def lacking(folder: Path, manifest: str) -> str:
    """Why a folder is not what it was named as: it lacks a manifest that can be read. Says what it is instead."""
    if not folder.exists():
        return "there is no such folder"
    found = kind_in(folder)
    if found is not None and manifest not in found.manifests:
        return "it holds {}".format(found.words)
    return "no readable {}".format(manifest)


def is_vacant(folder: Path, beginning: Sequence[str] = ()) -> bool:
    """Whether a folder is not there, or holds nothing that counts.

    Args:
        folder: to look into.
        beginning: names of what a command that was killed leaves there before its first manifest.
    """
    if not folder.exists() and not folder.is_symlink():
        return True
    return folder.is_dir() and all(
        entry.name in beginning or entry.name.endswith(UNFINISHED) for entry in folder.iterdir()
    )


def refusal(folder: Path, own: str, beginning: Sequence[str] = ()) -> str:
    """Why a command may not write into a folder, as a sentence without its full stop; empty if it may.

    It may if the folder is not there, vacant or of its own kind, whatever else is in it.

    Raises OSError.

    Args:
        folder: to be written into.
        own: name of the kind of what the command makes.
        beginning: see `is_vacant`.
    """
    mine = next(kind for kind in KINDS if kind.name == own)
    if mine.fits(folder) or is_vacant(folder, beginning):
        return ""
    if not folder.is_dir():
        return "{} is not a folder".format(folder)
    found = kind_in(folder)
    if found is None:
        return "{} holds files that segeval did not make".format(folder)
    return "{} holds {} ({})".format(folder, found.words, found.manifests[0])

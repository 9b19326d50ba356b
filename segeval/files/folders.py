"""Checks what a folder contains before something is written into it."""

from pathlib import Path

from segeval.errors import ConfigurationError
from segeval.files.storage import explaining
from segeval_runner.ownership import kind_in, refusal


def require_own(folder: Path, *own: str) -> None:
    """Raise ConfigurationError unless a folder is new, vacant or of one of these kinds; see `ownership.refusal`.

    Without a kind every folder will do.
    """
    with explaining(folder):
        whys = [refusal(folder, kind) for kind in own]
    if whys and all(whys):
        raise ConfigurationError(whys[0], "choose a new folder with --out")


def require_no_kind(folder: Path) -> None:
    """Raise ConfigurationError for the folder of a set, a bundle …: nothing else may be put beside what is in it."""
    with explaining(folder):
        found = kind_in(folder)
    if found is not None:
        what = f"{folder} holds {found.words} ({found.manifests[0]})"
        raise ConfigurationError(what, "choose a new folder with --out")

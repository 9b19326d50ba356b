"""Finds files of a set that were moved, by their hashes, in the places where such files usually are."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from segeval.errors import DataError, some
from segeval.files.sets import CardRecord
from segeval.files.storage import sha256_file
from segeval.models.cards import ModelCard
from segeval.models.loading import WEIGHTS
from segeval.places import cache_folder, data_folder, with_home


def elsewhere(typed: Path, beside: Path, *more: Path) -> Iterator[Path]:
    """Where a file of a set may lie by now: under its name, then under any of its kind.

    Args:
        typed: where it was.
        beside: the set's folder.
        more: folders to look at first.
    """
    shared, here = data_folder(), Path()
    near = [each for folder in (beside, beside.parent, here) for each in (folder, folder / "weights")]
    folders = [*more, *near, cache_folder() / "weights", *([shared / "weights", shared] if shared else [])]
    kinds = WEIGHTS if typed.suffix in WEIGHTS else (typed.suffix,)
    yield from (folder / typed.name for folder in folders)
    for folder in folders:  # renamed meanwhile
        with suppress(OSError):  # of a folder that is not there or cannot be read
            yield from sorted(path for path in folder.iterdir() if path.suffix in kinds)


def looked_in(places: Iterable[Path]) -> str:
    """Folders that were searched for a file by its hash, a line each, with what is there instead."""
    others: dict[Path, set[str]] = {}
    for place in places:
        others.setdefault(place.parent, set()).update(seen(place))
    told = {folder: f" (not it: {some(sorted(names), 3)})" if names else "" for folder, names in others.items()}
    return "".join(f"\n  {folder}{what}" for folder, what in told.items())


def seen(place: Path) -> list[str]:
    """What to call a file that is at a place, but not the one that is looked for."""
    try:
        there = place.is_file()
    except OSError:
        return ["cannot be read"]
    return [place.name if os.access(place, os.R_OK) else f"{place.name} cannot be read"] if there else []


def with_moved(card: ModelCard, recorded: CardRecord, beside: Path) -> ModelCard:
    """The card with the new places of its files that were moved, found by their hashes.

    Args:
        card: as it was read.
        recorded: what the set says of it.
        beside: the set's folder.
    """
    hashes = {file.path: file.sha256 for file in recorded.files}
    moved = dict[str, Path]()
    for named in card.source.files:
        wanted = hashes.get(with_home(named).as_posix())
        usual = card.beside(named)
        if wanted is None or is_file_of(usual, wanted):
            continue
        places = elsewhere(usual, beside, card.path.parent)
        found = next((place for place in places if is_file_of(place, wanted)), None)
        if found is not None:
            moved[named] = found
    return replace(card, moved=moved)


def is_file_of(path: Path, wanted: str) -> bool:
    """Whether a file is there, can be read and has this sha256."""
    try:
        return path.is_file() and sha256_file(path) == wanted
    except (OSError, DataError):  # in a folder of another user
        return False


def read_from(card: ModelCard, recorded: str) -> Path:
    """The file that loading the network would read for one of its record.

    What the card does not name itself, as data of an ONNX file and modules that code imports, is read beside the file
    that asks for it, and from the card's folder.

    Args:
        card: of `with_moved`.
        recorded: path from the card's folder.
    """
    usual = card.path.parent / recorded
    for named, place in card.moved.items():
        if with_home(named).as_posix() == recorded:
            return place
        near = place.parent / os.path.relpath(usual, (card.path.parent / named).parent)
        if near.is_file():
            return near
    return usual

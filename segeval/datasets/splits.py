"""Splits that are not there, and those that are."""

import re
from collections.abc import Iterable, Iterator
from glob import escape
from pathlib import Path

from segeval.datasets.patterns import NAME, SPLIT
from segeval.errors import DataError


def no_split(where: object, split: str, known: Iterable[str]) -> DataError:
    """The error for a split that is not there.

    Args:
        where: it was looked for.
        split: that was asked for.
        known: those that are there.
    """
    listed = ", ".join(known)
    hint = f"choose one with --split: {listed}" if listed else "no split is there: check --data-root"
    return DataError(f"{where} has no split {split!r}", hint)


def require_folder_of_split(folder: Path, patterns: Iterable[str], split: str) -> None:
    """Raise DataError if the folder of a pattern is missing whose path names the split."""
    given = [pattern for pattern in patterns if SPLIT in folder_of(pattern)]
    for pattern in given:
        if not (folder / folder_of(pattern).replace(SPLIT, split)).is_dir():
            known = [each for each in splits_of(folder, given[0]) if has_all(folder, given, each)]
            raise no_split(f"{folder / pattern}", split, known)


def splits_of(folder: Path, pattern: str) -> Iterator[str]:
    """The splits for which the folder of a pattern is there."""
    place = folder_of(pattern)
    form = re.escape(place).replace(re.escape(SPLIT), "([^/.][^/]*)", 1).replace(re.escape(SPLIT), r"\1")
    for path in sorted(folder.glob(escape(place).replace(SPLIT, "*"))):
        if found := re.fullmatch(form, path.relative_to(folder).as_posix()):
            yield found[1]


def has_all(folder: Path, patterns: Iterable[str], split: str) -> bool:
    """Whether every pattern has its folder for a split."""
    return all((folder / folder_of(pattern).replace(SPLIT, split)).is_dir() for pattern in patterns)


def folder_of(pattern: str) -> str:
    """The folder of a pattern, as it is written."""
    return pattern.partition(NAME)[0].rpartition("/")[0]

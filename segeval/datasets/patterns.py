"""Paths of image and label files as patterns: ``leftImg8bit/{split}/{name}_leftImg8bit.png``."""

import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from segeval.datasets.files import OTHER_SUFFIXES, Named, has_ending, is_file, natural
from segeval.errors import DataError

NAME = "{name}"
SPLIT = "{split}"


@dataclass(frozen=True)
class Pattern:
    """Files of a folder. ``{name}`` is what an image and its mask share, sub-folders included.

    Attributes:
        folder: relative, that the files lie in or below.
        before, after: what stands around the name in a path relative to `folder`.
        endings: of the files, where `after` has none.
    """

    folder: str
    before: str
    after: str
    endings: tuple[str, ...]

    def files(self, root: Path) -> list[Named]:
        """Names and paths of the files, in natural order.

        Raises DataError for pictures among them in a format that is not read, and for a folder that cannot be listed.
        """
        folder = root / self.folder
        named = []
        for path in sorted(walk(folder), key=lambda path: folder_by_folder(path.relative_to(folder))):
            name = self.name_of(folder, path.relative_to(folder))
            if name is None:
                continue
            if is_file(path):
                named.append((name, path))
        return named

    def name_of(self, folder: Path, path: Path) -> str | None:
        """The name of a file, None for one that does not fit. Raises DataError for a format that is not read."""
        text = unicodedata.normalize("NFC", path.as_posix())
        if not text.startswith(self.before):
            return None
        if not self.endings:
            return text[len(self.before) : -len(self.after)] if text.endswith(self.after) else None
        ending = PurePosixPath(text).suffix
        stem = text.removesuffix(ending)
        if not stem.endswith(self.after):
            return None
        if not has_ending(path, self.endings):
            if has_ending(path, OTHER_SUFFIXES):
                raise DataError(
                    f"{folder / path}: files that end in {ending} are not read here",
                    "save it as 8-bit PNG, or move it away",
                )
            return None
        return stem[len(self.before) : len(stem) - len(self.after)]


def folder_by_folder(path: Path) -> list[tuple[list[str | int], str]]:
    """Sort key that keeps the files of a folder together, each level in natural order."""
    return [natural(Path(part)) for part in path.parts]


def parse_pattern(text: str, split: str, endings: Sequence[str], where: str) -> Pattern:
    """A pattern for one split.

    Args:
        text: a relative path with one ``{name}``; ``{split}`` in it is the name of the split.
        split: of the dataset.
        endings: of files, where the pattern has none.
        where: it is written, for messages.

    Raises:
        DataError: if it is none, or leaves the folder.
    """
    filled = unicodedata.normalize("NFC", text.replace(SPLIT, split))
    before, name, after = filled.partition(NAME)
    parts = PurePosixPath(filled).parts
    if not name or NAME in after or "/" in after or "{" in before + after:
        raise DataError(
            f"{where}: {text!r} is not a path pattern", f'for example "images/{SPLIT}/{NAME}.png", with one {NAME}'
        )
    if filled.startswith("/") or "\\" in filled or ".." in parts:
        raise DataError(f"{where}: {text!r} leads out of the folder", "give a parent folder with --data-root")
    folder, _, start = before.rpartition("/")
    return Pattern(folder, start, after, () if "." in after else tuple(endings))


def walk(folder: Path) -> Iterator[Path]:
    """Everything below a folder but folders, without what is hidden. Links are followed, and into no folder twice.

    Raises DataError if a folder cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise DataError(f"cannot list {error.filename}: {error.strerror}")

    seen: set[str] = set()
    for here, folders, files in os.walk(folder, followlinks=True, onerror=refuse):
        real = os.path.realpath(here)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(here, name) for name in files if not name.startswith("."))

"""Kinds of image files of which not everything is used, or which hold less than a camera's RGB: they are named."""

from collections.abc import Sequence
from pathlib import Path

from segeval.files.images import opening

KINDS = {
    "alpha": "have an alpha channel, which is dropped: transparent pixels show the colour that is stored there",
    "grey": "are grey: their level becomes red, green and blue",
    "palette": "have a palette, and are read as its colours",
}


def kinds_of(path: Path) -> tuple[str, ...]:
    """Which of KINDS an image file is, from its header. Raises DataError."""
    with opening(path) as image:
        is_so = {
            "alpha": image.mode in ("RGBA", "LA") or "transparency" in image.info,
            "grey": image.mode in ("L", "LA"),
            "palette": image.mode == "P",
        }
    return tuple(kind for kind, so in is_so.items() if so)


def told_of_kinds(images: Sequence[tuple[str, tuple[str, ...]]]) -> list[str]:
    """What is done to the images of each kind, a sentence each. images: id and kinds."""
    told = []
    for kind, what in KINDS.items():
        names = [name for name, kinds in images if kind in kinds]
        if names:
            told.append(f"{len(names)} of {len(images)} image files {what}, as {names[0]}")
    return told

"""What the documentation says to type, and pictures to type it for."""

import re
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DOCS = Path(__file__).parents[1] / "docs"


def section(page: str, heading: str) -> list[str]:
    """The indented blocks below a heading of a page, each without its indentation."""
    text = (DOCS / page).read_text(encoding="utf-8")
    body = re.split(r"^#+ ", text.partition(f"# {heading}\n")[2], flags=re.MULTILINE)[0]
    blocks = re.findall(r"(?:^    .*\n)+", body, re.MULTILINE)
    return [re.sub("^    ", "", block, flags=re.MULTILINE) for block in blocks]


def typed(block: str) -> list[list[str]]:
    """The words of each command of a block, after `segeval`."""
    return [shlex.split(line, comments=True)[1:] for line in block.splitlines()]


def save_pictures(
    folder: Path, images: Iterable[NDArray[np.uint8]], labels: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> None:
    """Images and their label maps as a dataset of the kind `folder`, but for its list of classes."""
    for number, image in enumerate(images):
        for kind, pixels in (("images", image), ("masks", labels(image))):
            path = folder / kind / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)

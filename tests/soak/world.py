"""What the commands of a soak work on: a few tiny real images, and each command's result without any disturbance."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from segeval.datasets import open_dataset
from tests.soak.serving import PICTURES, REMOTE, recorded

SIZE = (64, 128)
SPLITS = {"test": (13, 16, 36, 39), "val": (2, 5), "train": (7, 9, 15, 17, 19, 30)}
"""Scenes of the synthetic test split that have vehicles; which of them a split of the soak's dataset has."""


@dataclass(frozen=True)
class World:
    """root: holds all of it.   base: address of the server that `fetch` asks."""

    root: Path
    base: str

    @property
    def data(self) -> Path:
        """A `folder` dataset."""
        return self.root / "data"

    @property
    def files(self) -> Path:
        """What can be fetched, for `fetch_here`."""
        return self.root / "remote.json"

    @property
    def marker(self) -> str:
        """What the environment of every process of this soak says."""
        return str(self.root)

    def result(self, command: str) -> Path:
        """What a command gives when nothing disturbs it."""
        return self.root / "undisturbed" / command / "out"


def make_world(root: Path, base: str) -> World:
    """Write the images, and say what can be fetched."""
    world = World(root, base)
    scenes = open_dataset("synthetic", None, "test", SIZE)
    for split, numbers in SPLITS.items():
        for number in numbers:
            example = scenes[number]
            assert example.labels is not None
            for kind, pixels in (("images", example.image), ("masks", example.labels)):
                path = world.data / split / kind / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    (world.data / "classes.txt").write_text("cityscapes\n")
    world.files.write_text(json.dumps([recorded(name, data) for name, data in PICTURES.items()]))
    return world


def words(*given: object) -> Sequence[str]:
    """Arguments as text."""
    return [str(each) for each in given]


__all__ = ["REMOTE", "SIZE", "World", "make_world", "words"]

"""Class tables, their palettes, and attack tasks written in class names.

Label maps everywhere in segeval are uint8 arrays of indices into a table; ``IGNORE`` marks
pixels that never count.
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segeval.errors import ConfigurationError, UnknownNameError
from segeval.goals import Goal

IGNORE = 255
"""Ground-truth value of pixels that never count, whatever the dataset's own files use."""

Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class ClassTable:
    """Names and colours of the classes of a dataset, in label order.

    Attributes:
        canonical: the Cityscapes name each class corresponds to; tables are aligned by it.
    """

    name: str
    names: tuple[str, ...]
    palette: tuple[Rgb, ...]
    canonical: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.names) < IGNORE:
            raise ConfigurationError(f"class table {self.name!r} has {len(self.names)} classes; 1 to {IGNORE - 1} fit")
        if not len(self.names) == len(self.palette) == len(self.canonical):
            raise ConfigurationError(f"class table {self.name!r}: names, palette and canonical names differ in length")
        if not all(0 <= level <= 255 for colour in self.palette for level in colour):
            raise ConfigurationError(f"class table {self.name!r}: a colour is outside 0–255")

    def __len__(self) -> int:
        return len(self.names)

    def find(self, name: str) -> int | None:
        """Index of the class with this name or canonical name, ignoring case; None if there is none."""
        wanted = name.casefold()
        for spelled in (self.names, self.canonical):
            for index, own in enumerate(spelled):
                if own.casefold() == wanted:
                    return index
        return None

    def colours(self) -> NDArray[np.uint8]:
        """(256, 3) RGB lookup table: ``colours()[labels]`` paints a label map. Values outside the table are black."""
        lookup = np.zeros((256, 3), np.uint8)
        lookup[: len(self.palette)] = self.palette
        return lookup


def same_classes(a: ClassTable, b: ClassTable) -> bool:
    """Whether an index means the same in both tables: the same canonical names in the same order."""
    return a.canonical == b.canonical


CITYSCAPES = ClassTable(
    name="cityscapes",
    names=(
        "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation",
        "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
    ),
    palette=(
        (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153), (153, 153, 153),
        (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152), (70, 130, 180), (220, 20, 60),
        (255, 0, 0), (0, 0, 142), (0, 0, 70), (0, 60, 100), (0, 80, 100), (0, 0, 230), (119, 11, 32),
    ),
    canonical=(
        "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation",
        "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
    ),
)  # fmt: skip

CAMVID = ClassTable(
    name="camvid",
    names=(
        "Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car", "Pedestrian", "Bicyclist",
    ),
    palette=(
        (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (0, 0, 192), (128, 128, 0),
        (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
    ),
    canonical=(
        "sky", "building", "pole", "road", "sidewalk", "vegetation", "traffic sign", "fence", "car", "person", "rider",
    ),
)  # fmt: skip

TABLES = {table.name: table for table in (CITYSCAPES, CAMVID)}


@dataclass(frozen=True)
class AttackTask:
    """Make every pixel of the source classes look like the adversarial class (Kang et al. 2020, Sec. V), or like any.

    Attributes:
        name: of the task, in paths and tables.
        sources: canonical (Cityscapes) class names, so that one task serves every class table; ANY alone is all of
            them, and any other class than a pixel's own is as good.
        target: name of the adversarial class; ANY for whatever is no source class.
    """

    name: str
    sources: tuple[str, ...]
    target: str

    def resolve(self, table: ClassTable) -> Goal:
        """The goal in the indices of a class table.

        A source class that only another known table has is left out.

        Raises:
            ConfigurationError: if the table lacks the adversarial class or every source class, or if no table knows a
                name.
        """
        if self.sources == (ANY,):
            return Goal(tuple(range(len(table))), None, "wrong")
        found = [index for index in map(table.find, self.sources) if index is not None]
        known = f"{table.name} has: {', '.join(table.names)}"
        for name in self.sources:
            if all(each.find(name) is None for each in (table, *TABLES.values())):
                raise ConfigurationError(f"task {self.name!r}: there is no class {name!r}", known)
        if not found:
            raise ConfigurationError(f"task {self.name!r}: {table.name} has none of {', '.join(self.sources)}", known)
        if self.target == ANY:
            return Goal(tuple(dict.fromkeys(found)), None, "lost")
        target = table.find(self.target)
        if target is None:
            raise ConfigurationError(f"task {self.name!r}: {table.name} has no class {self.target!r}", known)
        if target in found:
            raise ConfigurationError(f"task {self.name!r}: {self.target!r} is both source and adversarial class")
        return Goal(tuple(dict.fromkeys(found)), target)


ANY = "*"
"""In place of classes, whichever they are."""
VULNERABLE = ("person", "rider", "motorcycle", "bicycle")
VEHICLES = ("car", "truck", "bus", "train")
TASKS = {
    task.name: task
    for task in (
        AttackTask("vru-to-vegetation", VULNERABLE, "vegetation"),
        AttackTask("vehicle-to-road", VEHICLES, "road"),
        AttackTask("vehicle-to-building", VEHICLES, "building"),
        AttackTask("vru-lost", VULNERABLE, ANY),
        AttackTask("vehicle-lost", VEHICLES, ANY),
        AttackTask("untargeted", (ANY,), ANY),
    )
}


def parse_task(text: str) -> AttackTask:
    """A task by name, or the user's own as ``car,truck:road``; ``car,truck:*`` accepts whatever they become."""
    if text in TASKS:
        return TASKS[text]
    sources, colon, target = text.partition(":")
    names = tuple(name.strip() for name in sources.split(",") if name.strip())
    if not colon or not names or not target.strip():
        hint = f"tasks are {', '.join(TASKS)}, or SOURCE[,SOURCE…]:TARGET in class names, as in car,truck:road"
        raise UnknownNameError(f"no attack task {text!r}", hint)
    if names == (ANY,) and target.strip() == ANY:
        return TASKS["untargeted"]
    if ANY in names:
        hint = f"name the source classes, or write {ANY}:{ANY} for an untargeted attack"
        raise UnknownNameError(f"no attack task {text!r}", hint)
    slug = "+".join(names) + ("-lost" if target.strip() == ANY else "-to-" + target.strip())
    return AttackTask(re.sub(r"[^\w+-]+", "-", slug), names, target.strip())  # the name becomes a folder

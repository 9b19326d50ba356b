"""Class tables, their palettes, and attack tasks written in class names.

Label maps everywhere in segeval are uint8 arrays of indices into a table; ``IGNORE`` marks
pixels that never count.
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segeval.errors import ConfigurationError, UnknownNameError, nearest
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

    def find_all(self, name: str) -> tuple[int, ...]:
        """Indices of every class that a name means, ignoring case; none if there is none.

        A canonical name and its synonyms mean all classes with that canonical name: ``person`` is person and
        pedestrian in a table that has both. A class's own name that is no canonical one means that class alone.
        """
        own = self.find(name)
        if own is not None and self.canonical[own].casefold() != name.casefold():
            return (own,)
        wanted = (name.casefold(), canonical_name(name))
        return tuple(index for index, each in enumerate(self.canonical) if each.casefold() in wanted)

    def named(self, name: str) -> str:
        """For a hint: the classes that were probably meant by a name that is none, and all there are."""
        known = f"its classes: {', '.join(self.names)}"
        near = nearest(name.casefold(), dict.fromkeys(map(str.casefold, (*self.names, *self.canonical))))
        return f"{near} {known}" if near.startswith("did you mean") else known

    def colours(self) -> NDArray[np.uint8]:
        """(256, 3) RGB lookup table: ``colours()[labels]`` paints a label map. Values outside the table are black."""
        lookup = np.zeros((256, 3), np.uint8)
        lookup[: len(self.palette)] = self.palette
        return lookup


def same_classes(a: ClassTable, b: ClassTable) -> bool:
    """Whether both tables have the same canonical names in the same order."""
    return a.canonical == b.canonical


def class_difference(a: ClassTable, b: ClassTable) -> str:
    """In words, the first thing in which the classes of two tables differ; empty if an index means the same in both."""
    for index, (one, other) in enumerate(zip(a.canonical, b.canonical, strict=False)):
        if one != other:
            return f"class {index} is {a.names[index]!r} in {a.name} and {b.names[index]!r} in {b.name}"
    return "" if len(a) == len(b) else f"{a.name} has {len(a)} classes, {b.name} {len(b)}"


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

SYNONYMS = {
    "people": "person", "human": "person", "cyclist": "rider", "motorcyclist": "rider", "automobile": "car",
    "lorry": "truck", "motorbike": "motorcycle", "bike": "bicycle", "street": "road", "footpath": "sidewalk",
    "trees": "vegetation",
}  # fmt: skip
"""Further names of Cityscapes classes, beside those that CamVid uses."""


def parse_colour(text: str) -> Rgb | None:
    """The colour #rrggbb, None for any other text."""
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        return None
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue


def usual_colour(name: str, place: int) -> Rgb:
    """The colour of a class that was given none: its Cityscapes colour, else one of the PASCAL VOC map.

    Args:
        name: of the class.
        place: of the class among its own, from 0; the map's first colour is the background's, black, and left out.
    """
    known = CITYSCAPES.find(canonical_name(name))
    if known is not None:
        return CITYSCAPES.palette[known]
    channels = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            channels[channel] |= (place + 1 >> (3 * bit + channel) & 1) << (7 - bit)
    return channels[0], channels[1], channels[2]


def canonical_name(name: str) -> str:
    """The Cityscapes name of a class that is known by this or another name, else the name itself in small letters.

    ``traffic_light`` and ``traffic-light`` are ``traffic light``.
    """
    spelled = name.casefold()
    for each in (spelled, re.sub(r"[-_\s]+", " ", spelled)):
        for table in (CITYSCAPES, CAMVID):
            index = table.find(each)
            if index is not None:
                return table.canonical[index]
        if each in SYNONYMS:
            return SYNONYMS[each]
    return spelled


@dataclass(frozen=True)
class AttackTask:
    """Make every pixel of the source classes look like the adversarial class (Kang et al. 2020, Sec. V), or like any.

    Attributes:
        name: of the task, in paths and tables.
        sources: canonical (Cityscapes) class names, so that one task serves every class table; ANY alone is all of
            them but the adversarial class. With ANY as target too, any other class than a pixel's own is as good.
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
        if self.sources == (ANY,) and self.target == ANY:
            return Goal(tuple(range(len(table))), None, "wrong")
        target = self._target(table)
        if self.sources == (ANY,):
            return self._goal(tuple(index for index in range(len(table)) if index != target), target, table)
        found = tuple(dict.fromkeys(index for name in self.sources for index in table.find_all(name)))
        for name in self.sources:
            if not any(each.find_all(name) for each in (table, *TABLES.values())):
                raise ConfigurationError(f"task {self.name!r}: unknown class {name!r}", table.named(name))
        return self._goal(found, target, table)

    def _target(self, table: ClassTable) -> int | None:
        """Index of the adversarial class, None for any. Raises ConfigurationError if it is none or several."""
        if self.target == ANY:
            return None
        found = table.find_all(self.target)
        if len(found) > 1:
            own = ", ".join(table.names[index] for index in found)
            exact = [index for index in found if table.names[index].casefold() == self.target.casefold()]
            if len(exact) != 1:
                raise ConfigurationError(
                    f"task {self.name!r}: {self.target!r} is several classes of {table.name!r}: {own}"
                )
            return exact[0]
        if not found:
            what = f"task {self.name!r}: class table {table.name!r} has no class {self.target!r}"
            raise ConfigurationError(what, self._hint(self.target, table))
        return found[0]

    def _goal(self, sources: tuple[int, ...], target: int | None, table: ClassTable) -> Goal:
        """The goal, once it was checked that there are sources and that the adversarial class is none of them."""
        if not sources:
            what = f"task {self.name!r}: class table {table.name!r} has none of {', '.join(self.sources)}"
            raise ConfigurationError(what, self._hint(self.sources[0], table))
        if target in sources:
            raise ConfigurationError(f"task {self.name!r}: {self.target!r} is both source and adversarial class")
        return Goal(sources, target, "lost" if target is None else "class")

    def _hint(self, missing: str, table: ClassTable) -> str:
        """What to do about a class that a table has not; of a registered task, whose classes nobody typed, also how."""
        if self not in TASKS.values():
            return table.named(missing)
        own = f"name a task of these, as in --task {task_example(table)}"
        return f'{table.named(missing)}; {own}, or give the one that is meant canonical = "{missing}"'


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
    """A task by name, or the user's own as ``car,truck:road``.

    ``car,truck:*`` accepts whatever they become, ``*:road`` starts from every other class, ``*:*`` is untargeted.
    Raises UnknownNameError for what is none.
    """
    if text in TASKS:
        return TASKS[text]
    sources, colon, target = text.partition(":")
    names = tuple(name.strip() for name in sources.split(",") if name.strip())
    if not colon or not names or not target.strip():
        hint = f"tasks are {', '.join(TASKS)}, or SOURCE[,SOURCE…]:TARGET in class names, as in car,truck:road"
        raise UnknownNameError(f"no attack task {text!r}", hint)
    if names == (ANY,) and target.strip() == ANY:
        return TASKS["untargeted"]
    if ANY in names and len(names) > 1:
        hint = f"{ANY} is every class: write {ANY}:{target.strip()}, or name the source classes"
        raise UnknownNameError(f"no attack task {text!r}", hint)
    slug = "+".join("any" if name == ANY else name for name in names)
    slug += "-lost" if target.strip() == ANY else "-to-" + target.strip()
    return AttackTask(re.sub(r"[^\w+-]+", "-", slug), names, target.strip())  # the name becomes a folder


def task_example(table: ClassTable) -> str:
    """A task in the names of a table, as it is typed."""
    return f"{table.names[0]}:{table.names[-1] if len(table) > 1 else ANY}"


def tasks_of(table: ClassTable) -> dict[str, Goal]:
    """The tasks possible with a class table, by their spelling for ``--task``.

    First the named tasks that the table can serve, then each class lost and each class as the adversarial one. Any
    SOURCE[,SOURCE…]:TARGET of its names can be asked for besides.
    """
    spelled = [*TASKS, *(f"{name}:{ANY}" for name in table.names), *(f"{ANY}:{name}" for name in table.names)]
    goals: dict[str, Goal] = {}
    for text in spelled:
        try:
            goals[text] = parse_task(text).resolve(table)
        except ConfigurationError:
            continue  # the table lacks what this task is about
    return goals

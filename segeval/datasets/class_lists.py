"""The class list of a folder of images: classes.txt with a name per line, or classes.toml with more."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segeval.classes import IGNORE, TABLES, ClassTable, Rgb, canonical_name, parse_colour, usual_colour
from segeval.datasets.meaning import Meaning, label_values
from segeval.errors import DataError
from segeval_runner.strict import UNPRINTABLE

CLASS_LIST = "classes.txt"
CLASS_FILE = "classes.toml"
CONTENT = "the single line cityscapes or camvid, or one class name per line, optionally with a colour: name #rrggbb"


@dataclass(frozen=True)
class NamedClass:
    """A class as somebody wrote it down. colour, canonical: None if not given; line: where, for messages."""

    name: str
    colour: str | None = None
    canonical: str | None = None
    line: str = ""


@dataclass(frozen=True)
class ClassList:
    """What a class list says.

    Attributes:
        meaning: of the label files.
        stated: whether the list itself says what values mean; else class 0 is 0, class 1 is 1 and so on.
        images, masks: patterns of the paths of images and label files, empty if not given.
        panoptic: path of the file of segments, of label files that hold numbers of segments; else empty.
        categories: what its categories mean, by their numbers, as far as the list says it.
    """

    table: ClassTable
    meaning: Meaning
    stated: bool = False
    images: str = ""
    masks: str = ""
    panoptic: str = ""
    categories: Mapping[int, int] = field(default_factory=dict)


def read_text_list(path: Path) -> ClassList:
    """The class list in a classes.txt. Raises DataError naming the line that is wrong."""
    try:
        lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the class list {path}: {error}", f"Expected: {CONTENT}") from error
    if len(lines) == 1 and lines[0].strip() in TABLES:
        table = TABLES[lines[0].strip()]
        return ClassList(table, meaning_of(table, table.palette))
    classes = []
    for number, line in enumerate(lines, start=1):
        match = re.fullmatch(r"\s*([^#]*[^#\s])(?:\s+(#[0-9a-fA-F]{6}))?\s*", line)
        if match is None:
            raise DataError(
                f"{path}, line {number}: {line!r} is not a class", "write name or name #rrggbb, no empty lines"
            )
        classes.append(NamedClass(match[1], match[2], line=f", line {number}"))
    return ClassList(*table_of(path, classes))


def table_of(path: Path, classes: Sequence[NamedClass]) -> tuple[ClassTable, Meaning]:
    """The class table of the classes in a list, and what label files mean by it.

    Raises DataError for a name or a colour that is there twice, an unprintable name, or more classes than fit.
    """
    names: dict[str, str] = {}
    colours: dict[Rgb, str] = {}
    for each in classes:
        where = f"{path}{each.line}"
        if not each.name.strip() or UNPRINTABLE.search(each.name + (each.canonical or "")):
            raise DataError(f"{where}: {each.name!r} is not a class name", "use only visible characters")
        if each.name.casefold() in names:
            raise DataError(f"{where}: the class {each.name!r} is listed twice")
        names[each.name.casefold()] = each.name
        if each.colour is not None:
            other = colours.setdefault(rgb(each.colour, where), each.name)
            if other != each.name:
                raise DataError(f"{where}: {other!r} and {each.name!r} have the same colour {each.colour}")
    if not 0 < len(names) < IGNORE:
        raise DataError(f"{path} lists {len(names)} classes", "1 to 254 classes fit into an 8-bit label file")
    given = [rgb(each.colour, str(path)) if each.colour else None for each in classes]
    table = ClassTable(
        "folder",
        tuple(names.values()),
        tuple(given[place] or usual_colour(each.name, place) for place, each in enumerate(classes)),
        tuple(each.canonical.casefold() if each.canonical else canonical_name(each.name) for each in classes),
    )
    return table, meaning_of(table, given)


def meaning_of(table: ClassTable, colours: Sequence[Rgb | None]) -> Meaning:
    """Of label files that hold indices into a table, or the colours that the list gives its classes."""
    known = {colour: index for index, colour in enumerate(colours) if colour is not None}
    return Meaning(label_values(table).values, known)


def rgb(text: str, where: str) -> Rgb:
    """The colour #rrggbb. Raises DataError."""
    if (colour := parse_colour(text)) is None:
        raise DataError(f"{where}: {text!r} is not a colour", "write colours as #rrggbb, for example #804080")
    return colour

"""classes.toml: names, colours and canonical names of classes, what the values of label files mean, where files are."""

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import starmap
from pathlib import Path
from typing import Any, Literal

import msgspec

from segeval.classes import IGNORE, TABLES, ClassTable, Rgb
from segeval.datasets.class_lists import CLASS_FILE, ClassList, NamedClass, meaning_of, rgb, table_of
from segeval.datasets.meaning import MOST_VALUE, UNKNOWN, Form, Meaning, hexadecimal
from segeval.errors import DataError, nearest

IGNORED = "ignore"
OTHERS = "others"
SIGNED = (255, 65535)
"""What -1 is in files without signs."""
NEEDED = (
    f'{CLASS_FILE} lists the classes in the order of their labels, as in classes = ["road", "car"], or names a table'
)
"""What to do about a classes.toml without classes."""
CLASS_KEYS = ("name", "colour", "canonical")


@dataclass(frozen=True)
class ClassFile:
    """A classes.toml as it is written.

    Attributes:
        classes: names, or tables with `name` and perhaps `colour` and `canonical`, in label order.
        table: a known class table instead, "cityscapes" or "camvid".
        values: what all label files hold, where their own kind does not say.
        ignore: values and colours that never count, or "others" for all that have no meaning; None is 255.
        map: value or colour to class name or "ignore", in place of the numbers or colours of the classes.
        images, masks: patterns of paths, as in ``leftImg8bit/{split}/{name}_leftImg8bit.png``.
        first: label of the first class in the files, 0 or 1.
        panoptic: the file of segments of COCO panoptic label files; values are those of its categories then.
    """

    classes: tuple[str | NamedClass, ...] = ()
    table: str = ""
    values: Form | None = None
    ignore: str | tuple[int | str, ...] | None = None
    map: Mapping[str, str] = field(default_factory=dict)
    images: str = ""
    masks: str = ""
    panoptic: str = ""
    first: Literal[0, 1] = 0


def read_class_file(path: Path, ignore: Sequence[int] = ()) -> ClassList:
    """The class list in a classes.toml. Raises DataError naming what is wrong in it.

    ignore: values that never count, unless the file itself says which.
    """
    written = load(path)
    if ignore and written.ignore is not None:
        raise DataError(f"--ignore: {path} says itself what never counts", "leave out --ignore, or change that file")
    table, meaning = classes_of(path, written)
    meaning = mapped(path, written, table, meaning)
    if ignore:
        meaning = ignoring("--ignore", ignore, table, meaning)
    elif written.ignore is not None:
        listed = (written.ignore,) if isinstance(written.ignore, str) else written.ignore
        meaning = ignoring(f"{path}, ignore", listed, table, meaning)
    elif written.map and IGNORE not in meaning.values:
        meaning = replace(meaning, values={**meaning.values, IGNORE: IGNORE})
    if written.values == "colours" and not meaning.colours:
        raise DataError(f'{path}: values = "colours", but no class has a colour', "give each class its colour")
    if written.panoptic and written.values is not None:
        raise DataError(
            f'{path}: values = "{written.values}" with panoptic, whose label files hold segments', "leave it out"
        )
    stated = bool(written.map or written.panoptic) or written.ignore is not None or written.values == "colours"
    stated = stated or bool(ignore) or written.first != 0
    numbered = any(not key.startswith("#") for key in written.map)
    said = {value: index for value, index in meaning.values.items() if numbered or index == IGNORE}
    meaning = replace(meaning, form=written.values)
    return ClassList(table, meaning, stated, written.images, written.masks, written.panoptic, said)


def load(path: Path) -> ClassFile:
    """The file's content, of the right types. Raises DataError for broken TOML, unknown keys and wrong types."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"cannot read the class list {path}: {error}", "it must be TOML; see docs/inputs.md") from error
    require_keys(str(path), content, [each.name for each in fields(ClassFile)])
    for place, entry in enumerate(content["classes"] if isinstance(content.get("classes"), list) else ()):
        if isinstance(entry, dict):
            require_keys(f"{path}, classes[{place}]", entry, CLASS_KEYS)
    try:
        return msgspec.convert(content, ClassFile)
    except msgspec.ValidationError as error:
        raise DataError(f"{path}: {error}", "docs/inputs.md lists the allowed keys") from error


def require_keys(where: str, found: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raise DataError for a key that means nothing."""
    names = list(known)
    for key in found:
        if key not in names:
            raise DataError(f"{where}: unknown key {key!r}", nearest(key, names))


def classes_of(path: Path, written: ClassFile) -> tuple[ClassTable, Meaning]:
    """The class table, and the meaning of label files without [map]."""
    if bool(written.table) == bool(written.classes):
        raise DataError(f"{path}: it needs either classes or table", NEEDED)
    if written.table:
        if written.table not in TABLES:
            raise DataError(f"{path}: unknown class table {written.table!r}", nearest(written.table, TABLES))
        table = TABLES[written.table]
        meaning = meaning_of(table, table.palette)
    else:
        named = (NamedClass(each) if isinstance(each, str) else each for each in written.classes)
        table, meaning = table_of(path, [replace(each, line=f", class {place}") for place, each in enumerate(named)])
    shifted = {value + written.first * (index != IGNORE): index for value, index in meaning.values.items()}
    return table, replace(meaning, values=shifted)


def as_class_file(listed: ClassList) -> str:
    """What a classes.txt says, in the words of a classes.toml."""
    if listed.table in TABLES.values():
        return f'table = "{listed.table.name}"'
    colours = {index: hexadecimal(colour) for colour, index in listed.meaning.colours.items()}

    def entry(index: int, name: str) -> str:
        text = json.dumps(name, ensure_ascii=False)
        return f'{{name = {text}, colour = "{colours[index]}"}}' if index in colours else text

    return f"classes = [{', '.join(starmap(entry, enumerate(listed.table.names)))}]"


def mapped(path: Path, written: ClassFile, table: ClassTable, meaning: Meaning) -> Meaning:
    """The meaning of label files with [map]: its values replace the classes' numbers, its colours their colours."""
    values: dict[int, int] = {}
    colours: dict[Rgb, int] = {}
    for key, name in written.map.items():
        where = f"{path}, [map], {key}"
        index = IGNORE if name == IGNORED else table.find(name)
        if index is None:
            raise DataError(f"{where}: unknown class {name!r}", f"{table.named(name)}; or write {IGNORED}")
        if key.startswith("#"):
            colours[rgb(key, where)] = index
        else:
            values[label_value(key, where)] = index
    return replace(meaning, values=values or meaning.values, colours=colours or meaning.colours)


def label_value(text: str, where: str) -> int:
    """A value of a label file. Raises DataError."""
    if not (text.isascii() and text.isdigit() and int(text) <= MOST_VALUE):
        raise DataError(f"{where}: {text!r} is neither a value from 0 to {MOST_VALUE} nor a colour #rrggbb")
    return int(text)


def ignoring(where: str, listed: Iterable[int | str], table: ClassTable, meaning: Meaning) -> Meaning:
    """The meaning of label files with these values and colours as what never counts, and no others.

    -1 is what it becomes in a file without signs: 255 with 8 bits, 65535 with 16.
    Raises DataError for one that is a class as well, or can be none.

    Args:
        where: they are listed, for messages.
        listed: values, colours, or "others" for all that have no meaning.
        table: the classes.
        meaning: without them.
    """
    values = {value: index for value, index in meaning.values.items() if value != IGNORE or index != IGNORE}
    colours, others = dict(meaning.colours), UNKNOWN
    for each in listed:
        if each == OTHERS:
            others = IGNORE
        elif isinstance(each, str) and not each.startswith("#"):
            raise DataError(
                f"{where}: {each!r} is neither a value, nor a colour #rrggbb, nor {OTHERS}", nearest(each, [OTHERS])
            )
        elif isinstance(each, str):
            colour = rgb(each, where)
            require_no_class(where, hexadecimal(colour), colours.setdefault(colour, IGNORE), table)
        else:
            for value in SIGNED if each == -1 else (label_value(str(each), where),):
                require_no_class(where, str(value), values.setdefault(value, IGNORE), table)
    return replace(meaning, values=values, colours=colours, others=others)


def require_no_class(where: str, shown: str, found: int, table: ClassTable) -> None:
    """Raise DataError if what should never count is a class."""
    if found != IGNORE:
        hint = "say with [map] in classes.toml which values are which classes"
        raise DataError(
            f"{where}: {shown} is the class {table.names[found]!r}",
            f"if {table.names[0]!r} is 1, write first = 1 into classes.toml; else {hint}" if shown == "0" else hint,
        )

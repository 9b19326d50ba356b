"""COCO panoptic label files: colours encode segment numbers, and a JSON file gives their categories."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import msgspec

from segeval.classes import IGNORE, ClassTable
from segeval.datasets.class_lists import ClassList
from segeval.datasets.files import LabelFile, Pair
from segeval.datasets.meaning import UNKNOWN, Meaning
from segeval.datasets.patterns import SPLIT
from segeval.errors import DataError

MOST_SEGMENT = (1 << 24) - 1
"""The largest number that three bytes hold: red + 256 green + 65536 blue."""
VOID = (0, 0, 0)
"""The colour of pixels of no segment."""


class Segment(msgspec.Struct, frozen=True):
    """A segment of one picture."""

    id: int
    category_id: int


class Annotation(msgspec.Struct, frozen=True):
    """The segments of a label file."""

    file_name: str
    segments_info: list[Segment]


class Category(msgspec.Struct, frozen=True):
    """What segments can be."""

    id: int
    name: str


class Segments(msgspec.Struct, frozen=True):
    """The JSON file, as far as it is read."""

    annotations: list[Annotation]
    categories: list[Category]


def with_segments(pairs: Sequence[Pair], folder: Path, classes: ClassList, split: str) -> list[Pair]:
    """The pairs of a dataset whose class list names a file of segments, each label file with its own meaning.

    Args:
        pairs: images and label files.
        folder: of the dataset.
        classes: the class list.
        split: of the dataset.

    Raises:
        DataError: if the file of segments cannot be read or does not know a label file, or a category is no class.
    """
    relative = classes.panoptic.replace(SPLIT, split)
    if PurePosixPath(relative).is_absolute() or ".." in PurePosixPath(relative).parts:
        raise DataError(f"panoptic = {relative!r} leads out of {folder}", "give a parent folder with --data-root")
    path = folder / relative
    read = read_segments(path)
    of_category = {each.id: class_of(each, classes, path) for each in read.categories}
    known = {each.file_name: each for each in read.annotations}
    found = []
    for pair in pairs:
        if pair.labels is not None:
            annotation = known.get(pair.labels.path.name)
            if annotation is None:
                raise DataError(
                    f"{path} has no segments of {pair.labels.path}", "check that it is the file of this split"
                )
            meaning = meaning_of_colours(annotation, of_category, classes.table, path)
            pair = replace(pair, labels=LabelFile(pair.labels.path, meaning))
        found.append(pair)
    return found


def read_segments(path: Path) -> Segments:
    """The content of a file of segments. Raises DataError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Segments)
    except (OSError, msgspec.DecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        hint = "panoptic names a JSON file of COCO's form: annotations with segments_info, and categories"
        raise DataError(f"cannot read the segments in {path}: {reason}", hint) from error


def class_of(category: Category, classes: ClassList, path: Path) -> int:
    """Index of a category's class, IGNORE or UNKNOWN: by its number in [map] or `ignore`, else by its name."""
    index = classes.categories.get(category.id)
    if index is None and not any(each != IGNORE for each in classes.categories.values()):
        index = classes.table.find(category.name)
    return classes.meaning.others if index is None else index


def meaning_of_colours(
    annotation: Annotation, of_category: Mapping[int, int], table: ClassTable, path: Path
) -> Meaning:
    """What the colours of one label file mean. Raises DataError for a segment of a category that is no class."""
    colours = {VOID: IGNORE}
    for segment in annotation.segments_info:
        number, index = segment.id, of_category.get(segment.category_id)
        where = f"{path}: segment {number} of {annotation.file_name}"
        if not 0 < number <= MOST_SEGMENT:
            raise DataError(f"{where} is not a possible colour", f"numbers of segments are 1 to {MOST_SEGMENT}")
        if index is None:
            raise DataError(f"{where} is of category {segment.category_id}, which categories do not name")
        if index == UNKNOWN:
            what = f"{where} is of category {segment.category_id}, which is not a class of {', '.join(table.names)}"
            hint = 'say with [map] which category is which class, or ignore = "others" for all that are none'
            raise DataError(what, hint)
        colours[number & 255, number >> 8 & 255, number >> 16] = index
    return Meaning({}, colours, "colours")

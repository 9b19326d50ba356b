"""The user's own images: a folder with images, perhaps masks, and a class list."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segeval.classes import ClassTable
from segeval.datasets.binary import black_and_white, is_black_and_white, told_of_black_and_white
from segeval.datasets.class_files import NEEDED, as_class_file, ignoring, read_class_file
from segeval.datasets.class_lists import CLASS_FILE, CLASS_LIST, ClassList, read_text_list
from segeval.datasets.dataset import Size
from segeval.datasets.files import IMAGE_SUFFIXES, FileDataset, Pair, has_ending, need_folder, pair_by_name
from segeval.datasets.meaning import label_values
from segeval.datasets.pair_lists import PAIR_LIST, read_pairs
from segeval.datasets.panoptic import with_segments
from segeval.datasets.patterns import NAME, SPLIT, parse_pattern
from segeval.datasets.splits import no_split, require_folder_of_split
from segeval.errors import DataError
from segeval.files.sets import Resize

MASK_SUFFIXES = (".png", ".jpg", ".jpeg")
"""A mask that is a JPEG file is refused when it is read: left out, it would cost its image the ground truth."""

ALMOST_MASKS = ("mask", "labels", "label", "annotations", "annotation", "gt", "Masks", "Labels")
"""Folders that probably hold masks and are not looked at unless classes.toml says so."""

USUAL_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing", "trainval"})
LAYOUT = (
    "classes.txt (the single line cityscapes or camvid, or one class name per line, optionally with a colour: "
    "name #rrggbb) or classes.toml, images/ and optionally masks/ with PNG label files of the same names; with splits, "
    "SPLIT/images/ and SPLIT/masks/, or images/SPLIT/ and masks/SPLIT/; or pairs.csv"
)


@dataclass(frozen=True)
class Layout:
    """The places of images and masks. images, masks: patterns; splits: of the folder, empty if it has none."""

    images: str
    masks: str
    splits: tuple[str, ...] = ()


def open_folder(
    root: Path | None = None,
    split: str = "test",
    size: Size | None = None,
    resize: Resize = "pillow",
    table: ClassTable | None = None,
    ignore: Sequence[int] = (),
) -> FileDataset:
    """Your own PNG and JPEG images, with masks of ids or colours and a class list; docs/inputs.md says all of it.

    Args:
        root: the folder. Without split folders it holds one set of images, which every split names.
        split: of the dataset.
        size: (height, width) to bring images to, None to leave them.
        resize: how images are brought to the size.
        table: the classes of a folder without class list, which must not have masks.
        ignore: values of masks that never count, in place of 255; not if classes.toml says others.

    Raises:
        DataError: if something is missing, malformed or in contradiction.
    """
    if root is None:
        raise DataError("the folder dataset needs a folder", f"give it with --data-root. Expected inside: {LAYOUT}")
    folder = need_folder(root, LAYOUT)
    classes = read_class_list(folder, table, ignore)
    if (folder / PAIR_LIST).exists():
        if classes.images or classes.masks:
            raise DataError(f"both {folder / PAIR_LIST} and {CLASS_FILE} list the files", "remove one of them")
        where, pairs = folder / PAIR_LIST, read_pairs(folder / PAIR_LIST, split, classes.meaning)
    else:
        layout = layout_of(folder, classes)
        where, pairs = (
            folder / layout.images.replace(SPLIT, split).removesuffix(NAME),
            matched(folder, layout, split, classes),
        )
    if classes.panoptic:
        pairs = with_segments(pairs, folder, classes, split)
    labelled = [pair for pair in pairs if pair.labels is not None]
    if labelled and not has_class_list(folder):
        raise DataError(f"{folder} has masks, but no class list that says what they mean", f"Expected: {LAYOUT}")
    notes = told_of(folder, classes, pairs)
    if len(classes.table) <= 2 and not classes.stated and is_black_and_white(labelled):
        if len(classes.table) == 1:
            raise DataError(
                f"{folder}: masks contain only 0 and 255, but the class list has one class",
                "list two classes: that of 0, then that of 255",
            )
        pairs = black_and_white(pairs)
        notes.append(told_of_black_and_white(classes.table))
    return FileDataset(where, classes.table, pairs, size, resize, notes=notes)


def told_of(folder: Path, classes: ClassList, pairs: Sequence[Pair]) -> list[str]:
    """Notes on a folder without a class list, and on images without masks."""
    missing = [pair.id for pair in pairs if pair.labels is None]
    found = [name for name in ALMOST_MASKS if any(map(Path.is_dir, [folder / name, *folder.glob(f"*/{name}")]))]
    notes = []
    if not has_class_list(folder):
        notes.append(f"{folder} has no class list: its classes are those of the network, {classes.table.name}")
    if missing and len(missing) < len(pairs):
        notes.append(f"{len(missing)} of {len(pairs)} images have no mask and count in no mIoU, as {missing[0]}")
    elif missing and found and not classes.images and not (folder / PAIR_LIST).exists():
        notes.append(
            f"no image has a mask: masks are looked for in masks/, and not in {found[0]}/ that is there. "
            f"{told_of_place(folder, classes, found[0])}"
        )
    return notes


def told_of_place(folder: Path, classes: ClassList, found: str) -> str:
    """What to do about masks that lie in the folders `found`: all that a classes.toml has to say."""
    layout = layout_of(folder, classes)
    lines = f'images = "{layout.images}"\nmasks = "{layout.masks.replace("masks", found)}"'
    if (folder / CLASS_FILE).exists():
        return f"Rename it to masks, or add to {folder / CLASS_FILE}, above every [table]:\n{lines}"
    listed = as_class_file(classes) if has_class_list(folder) else "classes = [...]  # names in the order of the labels"
    removed = f"delete {folder / CLASS_LIST} and " if has_class_list(folder) else ""
    return f"Rename it to masks, or {removed}write {folder / CLASS_FILE}:\n{listed}\n{lines}"


def has_class_list(folder: Path) -> bool:
    """Whether the folder has a class list."""
    return (folder / CLASS_FILE).exists() or (folder / CLASS_LIST).exists()


def read_class_list(folder: Path, table: ClassTable | None, ignore: Sequence[int]) -> ClassList:
    """The class list of a folder, or `table` where it has none. Raises DataError if it has two, or there is none."""
    if not has_class_list(folder):
        if table is None:
            raise DataError(f"{folder} has no class list, {CLASS_LIST} or {CLASS_FILE}", f"Expected inside: {LAYOUT}")
        return ClassList(table, label_values(table), stated=True)
    if (folder / CLASS_FILE).exists():
        if (folder / CLASS_LIST).exists():
            raise DataError(f"{folder} has both {CLASS_FILE} and {CLASS_LIST}", f"delete {CLASS_LIST}. {NEEDED}")
        return read_class_file(folder / CLASS_FILE, ignore)
    listed = read_text_list(folder / CLASS_LIST)
    if not ignore:
        return listed
    return replace(listed, stated=True, meaning=ignoring("--ignore", ignore, listed.table, listed.meaning))


def layout_of(folder: Path, classes: ClassList) -> Layout:
    """The places of a folder's images and masks, from its class list, else from its sub-folders."""
    if classes.images:
        return Layout(classes.images, classes.masks)
    if classes.masks:
        raise DataError(f"{folder / CLASS_FILE} gives the place of masks, but not of images", "give images as well")
    splits = tuple(sorted(path.parent.name for path in folder.glob("*/images") if path.is_dir()))
    splits = tuple(name for name in splits if name not in ("images", "masks"))
    if splits:
        return Layout(f"{SPLIT}/images/{NAME}", f"{SPLIT}/masks/{NAME}", splits)
    images = folder / "images"
    if not images.is_dir():
        if any(has_ending(path, IMAGE_SUFFIXES) for path in folder.iterdir()):
            return Layout(NAME, f"masks/{NAME}")
        raise DataError(f"{folder} has no folder images, nor images itself", f"Expected in {folder}: {LAYOUT}")
    inside = sorted(path for path in images.iterdir() if not path.name.startswith("."))
    if inside and all(path.is_dir() and path.name.casefold() in USUAL_SPLITS for path in inside):
        return Layout(f"images/{SPLIT}/{NAME}", f"masks/{SPLIT}/{NAME}", tuple(path.name for path in inside))
    return Layout(f"images/{NAME}", f"masks/{NAME}")


def matched(folder: Path, layout: Layout, split: str, classes: ClassList) -> list[Pair]:
    """The images of a split with their masks. Raises DataError if the split or its images are not there."""
    if layout.splits and split not in layout.splits:
        raise no_split(folder, split, layout.splits)
    where = f"{folder / CLASS_FILE}"
    images = parse_pattern(layout.images, split, IMAGE_SUFFIXES, f"{where}, images")
    masks = parse_pattern(layout.masks, split, MASK_SUFFIXES, f"{where}, masks") if layout.masks else None
    require_folder_of_split(folder, (classes.images, classes.masks), split)
    need_folder(folder / images.folder, LAYOUT)
    if masks and classes.masks:
        need_folder(folder / masks.folder, LAYOUT)
    named = masks.files(folder) if masks and (folder / masks.folder).is_dir() else []
    taken = {path for _, path in named}  # a pattern of images may fit the masks beside them as well
    found = [each for each in images.files(folder) if each[1] not in taken]
    if layout.images == NAME:  # images in the folder itself: what lies in sub-folders is something else
        found = [each for each in found if each[1].parent == folder]
    return pair_by_name(found, named, classes.meaning)

"""The user's own images: ``images/``, optional ``masks/`` and a class list."""

import re
from pathlib import Path

from segeval.classes import CAMVID, CITYSCAPES, TABLES, ClassTable, Rgb
from segeval.datasets.dataset import Size
from segeval.datasets.files import FileDataset, label_values, list_files, need_folder, pair_by_stem
from segeval.errors import DataError
from segeval.files.sets import Resize
from segeval_runner.strict import UNPRINTABLE

CLASS_LIST = "classes.txt"
LAYOUT = (
    "classes.txt (the single line cityscapes or camvid, or one class name per line, optionally with a colour: "
    "name #rrggbb), images/ and optionally masks/ with PNG label files of the same names; with splits, "
    "SPLIT/images/ and SPLIT/masks/"
)


def open_folder(
    root: Path | None = None, split: str = "test", size: Size | None = None, resize: Resize = "pillow"
) -> FileDataset:
    """PNG and JPEG images, with 8-bit masks that hold indices into the class list and 255 for pixels that never count.

    Args:
        root: the folder with ``classes.txt`` and ``images/``. A folder without split folders holds one set of images,
            which every split names.
        split: of the dataset.
        size: (height, width) to bring images to, None to leave them.
        resize: how images are brought to the size.

    Raises:
        DataError: if something is missing, or the class list is malformed.
    """
    if root is None:
        raise DataError("the folder dataset needs a folder", f"give it with --data-root. Expected inside: {LAYOUT}")
    folder = need_folder(root, LAYOUT)
    table = read_table(folder / CLASS_LIST)
    splits = sorted(path.parent.name for path in folder.glob("*/images") if path.is_dir())
    if splits and split not in splits:
        raise DataError(f"{folder} has no split {split!r}", f"splits: {', '.join(splits)}")
    part = folder / split if splits else folder
    if not (part / "images").is_dir():
        raise DataError(f"{part} has no folder images", f"Expected in {folder}: {LAYOUT}")
    masks = list_files(part / "masks", (".png",)) if (part / "masks").is_dir() else []
    pairs = pair_by_stem(list_files(part / "images"), masks, label_values(table))
    return FileDataset(part / "images", table, pairs, size, resize)


def read_table(path: Path) -> ClassTable:
    """The class table in a class list. Raises DataError naming the line that is wrong."""
    try:
        lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the class list {path}: {error}", f"Expected: {LAYOUT}") from error
    if len(lines) == 1 and lines[0].strip() in TABLES:
        return TABLES[lines[0].strip()]
    names: list[str] = []
    palette: list[Rgb] = []
    for number, line in enumerate(lines, start=1):
        match = re.fullmatch(r"\s*([^#]*[^#\s])(?:\s+#([0-9a-fA-F]{6}))?\s*", line)
        if match is None or UNPRINTABLE.search(line):
            raise DataError(
                f"{path}, line {number}: {line!r} is no class", "write name or name #rrggbb, no empty lines"
            )
        name, colour = match.groups()
        if name.casefold() in map(str.casefold, names):
            raise DataError(f"{path}, line {number}: the class {name!r} is there twice")
        names.append(name)
        palette.append(_rgb(colour) if colour else _usual_colour(name, number))
    if not 0 < len(names) < 255:
        raise DataError(f"{path} lists {len(names)} classes", "1 to 254 classes fit into an 8-bit label file")
    return ClassTable("folder", tuple(names), tuple(palette), tuple(map(_canonical, names)))


def _canonical(name: str) -> str:
    """The Cityscapes name of a class that Cityscapes or CamVid knows, else the name itself."""
    for table in (CITYSCAPES, CAMVID):
        index = table.find(name)
        if index is not None:
            return table.canonical[index]
    return name.casefold()


def _rgb(colour: str) -> Rgb:
    red, green, blue = bytes.fromhex(colour)
    return red, green, blue


def _usual_colour(name: str, number: int) -> Rgb:
    """The Cityscapes colour of a class that has one, else the colour with this number in the PASCAL VOC map."""
    known = CITYSCAPES.find(_canonical(name))
    if known is not None:
        return CITYSCAPES.palette[known]
    channels = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            channels[channel] |= (number >> (3 * bit + channel) & 1) << (7 - bit)
    return channels[0], channels[1], channels[2]

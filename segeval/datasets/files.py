"""Datasets of image and label files: finding the files, pairing them, and the Dataset of the pairs."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from segeval.classes import ClassTable
from segeval.datasets.dataset import Example, Size
from segeval.datasets.file_names import require_name
from segeval.datasets.kinds import kinds_of, told_of_kinds
from segeval.datasets.label_files import read_labels
from segeval.datasets.meaning import Meaning
from segeval.datasets.pixels import read_image, require_one_orientation, resize_image, resize_labels, stored_size
from segeval.errors import DataError, nearest
from segeval.fetching.sources import source_of
from segeval.files.sets import Resize
from segeval.places import places_of

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
OTHER_SUFFIXES = (".bmp", ".gif", ".heic", ".jp2", ".npy", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
"""Endings of pictures that are not read. A folder is not half read because of them: they are refused by name."""


FOLDERS = "__"
"""What stands between the folders of an image's path in its id."""


@dataclass(frozen=True)
class LabelFile:
    """Ground truth of one image, and what its values or colours mean."""

    path: Path
    meaning: Meaning


@dataclass(frozen=True)
class Pair:
    """One image file and its ground truth, None where there is none."""

    id: str
    image: Path
    labels: LabelFile | None


def find_root(name: str, root: Path | None, layout: str) -> Path:
    """The folder of a dataset: `root`, else the first of `places_of` that is there.

    Args:
        name: of the dataset.
        root: as the user gave it, None to look for it.
        layout: what is expected inside, for the message.

    Raises:
        DataError: if there is no such folder.
    """
    if root is not None:
        return need_folder(root, layout)
    places = places_of(name)
    for place in places:
        if place.is_dir():
            return place
    looked = " nor at ".join(map(str, places))
    source = source_of(name)
    get = f"segeval fetch {source.name} brings {source.title}; or " if source else ""
    hint = f"{get}give its folder with --data-root. Expected inside: {layout}"
    raise DataError(f"no {name} dataset at {looked}", hint)


def need_folder(folder: Path, layout: str) -> Path:
    """`folder` itself. Raises DataError if it is missing or no folder."""
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise DataError(f"the folder {folder} {problem}", f"check --data-root. Expected inside: {layout}")
    return folder


def natural(path: Path) -> tuple[list[str | int], str]:
    """Sort key that puts frame2 before frame10; the full name decides between 01 and 1."""
    pieces = re.split("([0-9]+)", path.name)
    return [int(piece) if index % 2 else piece for index, piece in enumerate(pieces)], path.as_posix()


def list_files(folder: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[Path]:
    """The files of a folder with one of these endings, in natural order; hidden ones are left out.

    Raises DataError if the folder cannot be read, or for a link that leads nowhere.
    """
    try:
        entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise DataError(f"cannot list {folder}: {error.strerror}") from error
    return sorted((path for path in entries if has_ending(path, suffixes) and is_file(path)), key=natural)


def has_ending(path: Path, endings: Sequence[str]) -> bool:
    """Whether a file's name ends in one of these, ignoring capitals."""
    return path.name.lower().endswith(tuple(ending.lower() for ending in endings))


def is_file(path: Path) -> bool:
    """Whether a path is a file, or a link to one. Raises DataError for a broken link."""
    if path.is_symlink() and not path.exists():
        raise DataError(f"{path} is a broken link to {path.readlink()}", "fix or remove the link")
    return path.is_file()


def name_of(file: Path) -> str:
    """The name of a file before its suffix, in the Unicode form NFC, in which names are compared."""
    return unicodedata.normalize("NFC", file.stem)


def pair_by_stem(images: Iterable[Path], masks: Iterable[Path], meaning: Meaning) -> list[Pair]:
    """Each image with the mask of the same name before the suffix, or without one; see `pair_by_name`."""
    return pair_by_name([(name_of(path), path) for path in images], [(name_of(path), path) for path in masks], meaning)


Named = tuple[str, Path]
"""A file, and the name in NFC that an image and its mask share."""


def pair_by_name(images: Sequence[Named], masks: Iterable[Named], meaning: Meaning) -> list[Pair]:
    """Each image with the mask of the same name, or without one.

    Names are the same in whatever Unicode form a file system keeps them (é as one character or as two).
    Raises DataError if a mask has no image, since a misspelt name would silently cost its ground truth, or if two
    masks have one name.
    """
    files: dict[str, LabelFile] = {}
    for name, mask in masks:
        other = files.setdefault(name, LabelFile(mask, meaning))
        if other.path != mask:
            raise DataError(
                f"{other.path} and {mask} have the same name {name!r}, in two Unicode forms or with two endings",
                "remove one of them",
            )
    names = [name for name, _ in images]
    for name in sorted(files.keys() - set(names)):
        near = nearest(name, [name for name in names if name not in files][:1000])
        hint = f"{near} Give both the same name" if near.startswith("did you mean") else "rename or remove it"
        raise DataError(f"{files[name].path}: no image is named {name}", hint)
    return [Pair(id_of(name), path, files.get(name)) for name, path in images]


def id_of(name: str) -> str:
    """The id of an image, which must be a file name, although the image's name may have folders in it."""
    return name.replace("/", FOLDERS)


def check_ids(pairs: Sequence[Pair]) -> None:
    """Raise DataError if a name is no safe file name, or occurs twice where capitals do not count.

    The files of a set have these names, and it may travel to a system that does not tell A.png from a.png.
    """
    seen: dict[str, Pair] = {}
    for pair in pairs:
        require_name(pair.id, repr(str(pair.image)))
        other = seen.setdefault(unicodedata.normalize("NFC", pair.id.casefold()), pair)
        if other is not pair:
            how = (
                f"have the same name {pair.id!r}" if other.id == pair.id else "have names that differ only in capitals"
            )
            raise DataError(f"{other.image} and {pair.image} {how}", "rename one of them")


class FileDataset:
    """Images and label files on disk, read when asked for.

    Raises DataError if there is no image, or a name is unsafe or occurs twice.

    Attributes:
        size: (height, width) to bring both to, None to leave them.
        resize: how.
        left_out: names of images that lie there as well and belong to other splits.
        notes: what a person should know of how the files are read, a sentence each.
    """

    def __init__(
        self,
        where: Path,
        table: ClassTable,
        pairs: Sequence[Pair],
        size: Size | None,
        resize: Resize = "pillow",
        left_out: Sequence[str] = (),
        notes: Sequence[str] = (),
    ) -> None:
        if not pairs:
            raise DataError(f"no images in {where}", f"image files end in {', '.join(IMAGE_SUFFIXES)}")
        check_ids(pairs)
        self.table = table
        self.ids: Sequence[str] = tuple(pair.id for pair in pairs)
        self.left_out = tuple(left_out)
        self.notes = tuple(notes)
        self.size = size
        self._pairs = tuple(pairs)
        self._resize = resize

    def __len__(self) -> int:
        return len(self._pairs)

    def size_of(self, index: int) -> Size:
        """(height, width) of the image file at `index` as it stands upright, before any resizing; from its header."""
        return stored_size(self._pairs[index].image)

    def told_of(self, indices: Sequence[int]) -> list[str]:
        """What is done to images at these places that are no plain RGB; from their headers."""
        return told_of_kinds([(self.ids[index], kinds_of(self._pairs[index].image)) for index in indices])

    def __getitem__(self, index: int) -> Example:
        """The example at `index`, read now. Raises DataError naming the file that cannot be used."""
        pair = self._pairs[index]
        image = read_image(pair.image)
        size = self.size or (image.shape[0], image.shape[1])
        if pair.labels is None:
            return Example(pair.id, resize_image(image, size, self._resize), None)
        require_one_orientation(pair.image, pair.labels.path)
        labels = read_labels(pair.labels.path, pair.labels.meaning, self.table)
        if labels.shape != image.shape[:2]:
            height, width = labels.shape
            message = (
                f"{pair.labels.path} is {width}×{height}, its image {pair.image} {image.shape[1]}×{image.shape[0]}"
            )
            raise DataError(message, "a label file must have the size of its image")
        return Example(pair.id, resize_image(image, size, self._resize), resize_labels(labels, size))

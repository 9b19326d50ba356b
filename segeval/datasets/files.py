"""Datasets of image and label files: where they are, which belong together, and the Dataset made of them."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segeval.classes import IGNORE, ClassTable
from segeval.datasets.dataset import Example, Size
from segeval.datasets.file_names import require_name
from segeval.datasets.pixels import read_image, read_labels, require_one_orientation, resize_image, resize_labels
from segeval.errors import DataError
from segeval.fetching.sources import source_of
from segeval.files.sets import Resize
from segeval.places import cache_folder, data_folder

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class LabelFile:
    """Ground truth of one image. values: index or IGNORE for each value that the file may hold."""

    path: Path
    values: Mapping[int, int]


@dataclass(frozen=True)
class Pair:
    """One image file and its ground truth, None where there is none."""

    id: str
    image: Path
    labels: LabelFile | None


def label_values(table: ClassTable, ignored: int = IGNORE) -> dict[int, int]:
    """Meaning of label files that hold indices into `table`, and `ignored` for pixels that never count."""
    return {**{index: index for index in range(len(table))}, ignored: IGNORE}


def find_root(name: str, root: Path | None, layout: str, also: Sequence[str] = ()) -> Path:
    """The folder of a dataset: `root`, else ``$SEGEVAL_DATA/name``, else ``segeval/name`` in the user's cache.

    Args:
        name: of the dataset.
        root: as the user gave it, None to look for it.
        layout: what is expected inside, for the message.
        also: other names it may have in ``$SEGEVAL_DATA``.

    Raises:
        DataError: if there is no such folder.
    """
    if root is not None:
        return need_folder(root, layout)
    shared = data_folder()
    places = [*(shared / each for each in (name, *also) if shared), cache_folder() / name]
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
        raise DataError(f"the folder {folder} {problem}", f"is --data-root right? Expected inside: {layout}")
    return folder


def natural(path: Path) -> tuple[list[str | int], str]:
    """Sort key that puts frame2 before frame10; the full name decides between 01 and 1."""
    pieces = re.split("([0-9]+)", path.name)
    return [int(piece) if index % 2 else piece for index, piece in enumerate(pieces)], path.as_posix()


def list_files(folder: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[Path]:
    """The files of a folder with one of these endings, in natural order; hidden ones are left out.

    Raises DataError if the folder cannot be read.
    """
    try:
        entries = [path for path in folder.iterdir() if path.is_file()]
    except OSError as error:
        raise DataError(f"cannot list {folder}: {error.strerror}") from error
    endings = tuple(suffix.lower() for suffix in suffixes)
    fitting = (path for path in entries if path.name.lower().endswith(endings))
    return sorted((path for path in fitting if not path.name.startswith(".")), key=natural)


def name_of(file: Path) -> str:
    """The name of a file before its suffix, in the Unicode form NFC, in which names are compared."""
    return unicodedata.normalize("NFC", file.stem)


def pair_by_stem(images: Iterable[Path], masks: Iterable[Path], values: Mapping[int, int]) -> list[Pair]:
    """Each image with the mask of the same name before the suffix, or without one.

    Names are the same in whatever Unicode form a file system keeps them (é as one character or as two).
    Raises DataError if a mask has no image, since a misspelt name would silently cost its ground truth, or if two
    masks have one name.
    """
    files: dict[str, LabelFile] = {}
    for mask in masks:
        other = files.setdefault(name_of(mask), LabelFile(mask, values))
        if other.path != mask:
            raise DataError(f"{other.path} and {mask} have the same name in two Unicode forms", "remove one of them")
    pairs = [Pair(name_of(image), image, files.get(name_of(image))) for image in images]
    for stem in sorted(files.keys() - {pair.id for pair in pairs}):
        raise DataError(f"{files[stem].path}: there is no image named {stem}", "rename or remove it")
    return pairs


def check_ids(pairs: Sequence[Pair]) -> None:
    """Raise DataError if a name occurs twice or is no safe file name."""
    seen: dict[str, Path] = {}
    for pair in pairs:
        require_name(pair.id, repr(str(pair.image)))
        if pair.id in seen:
            raise DataError(f"{seen[pair.id]} and {pair.image} have the same name {pair.id!r}", "rename one of them")
        seen[pair.id] = pair.image


class FileDataset:
    """Images and label files on disk, read when asked for.

    Raises DataError if there is no image, or a name is unsafe or occurs twice.

    Attributes:
        size: (height, width) to bring both to, None to leave them.
        resize: how.
        left_out: names of images that lie there as well and belong to other splits.
    """

    def __init__(
        self,
        where: Path,
        table: ClassTable,
        pairs: Sequence[Pair],
        size: Size | None,
        resize: Resize = "pillow",
        left_out: Sequence[str] = (),
    ) -> None:
        if not pairs:
            raise DataError(f"no images in {where}", f"image files end in {', '.join(IMAGE_SUFFIXES)}")
        check_ids(pairs)
        self.table = table
        self.ids: Sequence[str] = tuple(pair.id for pair in pairs)
        self.left_out = tuple(left_out)
        self._pairs = tuple(pairs)
        self._size = size
        self._resize = resize

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Example:
        """The example at `index`, read now. Raises DataError naming the file that cannot be used."""
        pair = self._pairs[index]
        image = read_image(pair.image)
        size = self._size or (image.shape[0], image.shape[1])
        if pair.labels is None:
            return Example(pair.id, resize_image(image, size, self._resize), None)
        require_one_orientation(pair.image, pair.labels.path)
        labels = read_labels(pair.labels.path, pair.labels.values, self.table)
        if labels.shape != image.shape[:2]:
            height, width = labels.shape
            message = (
                f"{pair.labels.path} is {width}×{height}, its image {pair.image} {image.shape[1]}×{image.shape[0]}"
            )
            raise DataError(message, "a label file must have the size of its image")
        return Example(pair.id, resize_image(image, size, self._resize), resize_labels(labels, size))

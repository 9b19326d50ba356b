"""Cityscapes (Cordts et al. 2016, https://arxiv.org/abs/1604.01685): official folders, or a bare folder of frames."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from segeval.classes import CITYSCAPES, IGNORE
from segeval.datasets.dataset import Size
from segeval.datasets.files import FileDataset, LabelFile, Pair, find_root, list_files, need_folder
from segeval.datasets.meaning import Meaning, label_values
from segeval.datasets.splits import no_split
from segeval.errors import DataError
from segeval.files.sets import Resize

IMAGE_ENDING = "_leftImg8bit.png"
EVALUATED_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""labelIds of the 19 evaluated classes in trainId order; the other ids up to 33 never count."""

ID_VALUES = Meaning({value: EVALUATED_IDS.index(value) if value in EVALUATED_IDS else IGNORE for value in range(34)})
ENDINGS = {"_gtFine_labelIds.png": ID_VALUES, "_gtFine_labelTrainIds.png": label_values(CITYSCAPES)}
"""Endings of label files, the preferred one first, and what their values mean."""

CITIES = {
    "val": ("frankfurt", "lindau", "munster"),
    "test": ("berlin", "bielefeld", "bonn", "leverkusen", "mainz", "munich"),
}
"""Which cities are not in the train split."""

PAPER_SIZE = (512, 1024)
LAYOUT = (
    "leftImg8bit/SPLIT/CITY/*_leftImg8bit.png with gtFine/SPLIT/CITY/*_gtFine_labelIds.png (or *_labelTrainIds.png), "
    "or *_leftImg8bit.png files with any label files beside them"
)


def open_cityscapes(
    root: Path | None = None, split: str = "val", size: Size | None = None, resize: Resize = "pillow"
) -> FileDataset:
    """The frames of a split, 512×1024 as in the paper unless `size` (height, width) says otherwise.

    Args:
        root: the folder with ``leftImg8bit/`` and ``gtFine/``; or a bare folder of frames, whose split is that of the
            frame's city ("all" takes every frame). None looks at the usual places. Frames without label file are
            unlabelled.
        split: of the dataset.
        size: (height, width), None for the usual one.
        resize: how images are brought to the size.

    Raises:
        DataError: if the folder or split is missing or empty.
    """
    folder = find_root("cityscapes", root, LAYOUT)
    official = folder / "leftImg8bit"
    pairs, others = (_official(folder, split), []) if official.is_dir() else _bare(folder, split)
    labels = (folder / "gtFine" / split).glob("*/*") if official.is_dir() else folder.glob("*")
    return FileDataset(folder, CITYSCAPES, pairs, size or PAPER_SIZE, resize, others, _notes(pairs, others, labels))


def _pairs(images: Iterable[Path], labels: Path) -> list[Pair]:
    """Each frame with its label file in the folder `labels`, if it has one there."""
    pairs = []
    for image in images:
        name = image.name.removesuffix(IMAGE_ENDING)
        files = (LabelFile(labels / f"{name}{ending}", meaning) for ending, meaning in ENDINGS.items())
        pairs.append(Pair(name, image, next((file for file in files if file.path.is_file()), None)))
    return pairs


def _official(root: Path, split: str) -> list[Pair]:
    """The frames of leftImg8bit/SPLIT, city by city."""
    folders = root / "leftImg8bit"
    splits = sorted(path.name for path in folders.iterdir() if path.is_dir())
    if split not in splits:
        raise no_split(folders, split, splits)
    cities = sorted(path for path in need_folder(folders / split, LAYOUT).iterdir() if path.is_dir())
    if not cities:
        raise DataError(f"{folders / split} has no city folders", f"Expected: {LAYOUT}")
    return [
        pair
        for city in cities
        for pair in _pairs(list_files(city, (IMAGE_ENDING,)), root / "gtFine" / split / city.name)
    ]


def _notes(pairs: Sequence[Pair], others: Sequence[str], labels: Iterable[Path]) -> list[str]:
    """Notes on frames without label file, and on label files without frame.

    Args:
        pairs: the frames.
        others: names of frames of other splits.
        labels: what lies where label files do.
    """
    missing = [pair.id for pair in pairs if pair.labels is None]
    named = {path.name.removesuffix(ending) for path in labels for ending in ENDINGS if path.name.endswith(ending)}
    lost = sorted(named.difference(others, [pair.id for pair in pairs]))
    notes = []
    if missing:
        notes.append(f"{len(missing)} of {len(pairs)} frames have no label file and count in no mIoU, as {missing[0]}")
    if lost:
        notes.append(f"the label files of {len(lost)} frames are there without the frame, as {lost[0]}")
    return notes


def city_split(name: str) -> str:
    """The official split of a frame, by the city that its name begins with."""
    city = name.partition("_")[0]
    return next((split for split, cities in CITIES.items() if city in cities), "train")


def _bare(root: Path, split: str) -> tuple[list[Pair], list[str]]:
    """The frames of `root` itself whose city belongs to `split`, and the names of the others."""
    images = list_files(root, (IMAGE_ENDING,))
    if not images:
        raise DataError(f"no Cityscapes frames in {root}", f"Expected: {LAYOUT}")
    chosen = [image for image in images if split in ("all", city_split(image.name))]
    if not chosen:
        here = sorted({city_split(image.name) for image in images})
        raise no_split(root, split, [*here, "all"])
    return _pairs(chosen, root), [image.name.removesuffix(IMAGE_ENDING) for image in images if image not in chosen]

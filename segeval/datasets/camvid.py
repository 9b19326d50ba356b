"""CamVid in the layout of the SegNet tutorial (Brostow et al. 2009; Badrinarayanan et al. 2017): 11 classes."""

from pathlib import Path

from segeval.classes import CAMVID
from segeval.datasets.dataset import Size
from segeval.datasets.files import FileDataset, find_root, list_files, need_folder, pair_by_stem
from segeval.datasets.meaning import label_values
from segeval.datasets.splits import no_split
from segeval.errors import DataError
from segeval.files.sets import Resize

SPLITS = ("train", "val", "test")
UNLABELLED = 11
LAYOUT = "train/ val/ test/ with images, trainannot/ valannot/ testannot/ with label files of the same names"


def open_camvid(
    root: Path | None = None, split: str = "test", size: Size | None = None, resize: Resize = "pillow"
) -> FileDataset:
    """The 367, 101 or 233 frames of a split, 360×480 unless `size` (height, width) says otherwise.

    Args:
        root: the folder with ``train/`` and ``trainannot/``; None looks at the usual places.
        split: of the dataset.
        size: (height, width), None for the usual one.
        resize: how images are brought to the size.

    Raises:
        DataError: if the folder or split is missing, or an image has no label file or the other way round.
    """
    if split not in SPLITS:
        raise no_split("camvid", split, SPLITS)
    folder = find_root("camvid", root, LAYOUT)
    images = need_folder(folder / split, LAYOUT)
    annotations = need_folder(folder / f"{split}annot", LAYOUT)
    pairs = pair_by_stem(list_files(images), list_files(annotations, (".png",)), label_values(CAMVID, UNLABELLED))
    for pair in pairs:
        if pair.labels is None:
            raise DataError(f"{pair.image} has no label file in {annotations}", f"Expected: {LAYOUT}")
    return FileDataset(images, CAMVID, pairs, size, resize)

"""Which images calibrate int8: never those of the adversarial set, if there are others."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from segeval.datasets import Dataset, open_dataset
from segeval.errors import DataError
from segeval.files.engine_records import OWN_IMAGES, CalibrationImage
from segeval.files.images import RgbImage
from segeval.files.sets import AdversarialSet
from segeval.files.storage import sha256
from segeval.places import dataset_root
from segeval.registry import DATASETS

from .contents import Contents
from .given import Given

STREAM = 8
"""Keeps these random numbers apart from all others that are drawn from the same seed."""

KEPT_BYTES = 64 << 20
"""Chosen images stay in memory up to this size: every network and every calibration takes them again."""


@dataclass(frozen=True)
class CalibrationImages:
    """The chosen images.

    Attributes:
        source: where they come from, in words.
        load: the image at a position.
    """

    source: str
    seed: int
    images: tuple[CalibrationImage, ...]
    load: Callable[[int], RgbImage]

    def __iter__(self) -> Iterator[RgbImage]:
        """Each (H, W, 3) RGB image, from memory or read again."""
        return map(self.load, range(len(self.images)))


def choose_calibration(
    manifest: AdversarialSet, contents: Contents, given: Given, count: int, seed: int | None = None
) -> CalibrationImages:
    """`count` images of the data set's train split, drawn with a seed, None for the set's, and brought to its size.

    Images that are in the set are left out, whatever they are called. Only if the train split is not there, or has no
    other images, are the set's own clean images taken, and the record says so.

    Args:
        manifest: of the set.
        contents: of the bundle.
        given: where the dataset is by now, and whether its code may run.
        count: most images.
        seed: of the draw, None for the set's.

    Raises:
        DataError: for an image of the train split that cannot be used, or if `given` names no dataset's folder.
        ConfigurationError: for a dataset that is not registered and not allowed.
    """
    config = manifest.config
    DATASETS.require_allowed(config.dataset, given.allowed, "the set")
    size = (manifest.height, manifest.width)
    seed = config.seed if seed is None else seed
    try:
        root = given.data_root or dataset_root(config.data_root)
        dataset = open_dataset(config.dataset, root, "train", size, manifest.resize, manifest.table, config.ignore)
    except DataError as error:
        if given.data_root is not None:
            raise
        return from_contents(contents, f"{config.dataset} has no usable train split: {error.what}", count, seed)
    own = {sha256(contents.image(id).tobytes()) for id in contents.clean}
    found = from_dataset(dataset, source_of(manifest, contents, dataset), count, seed, own)
    if found.images:
        return found
    why = f"every image of the train split of {config.dataset} is in the set"
    return from_contents(contents, why, count, seed)


def source_of(manifest: AdversarialSet, contents: Contents, train: Dataset) -> str:
    """Where the images of a train split come from: it may be what was attacked, as of a folder that has no splits."""
    config = manifest.config
    id = next((id for id in contents.clean if id in train.ids), None)
    if id is None or not np.array_equal(train[list(train.ids).index(id)].image, contents.image(id)):
        return f"{config.dataset}, train split"
    split = "train split" if config.split == "train" else "which has no splits"
    return f"{config.dataset}, {split}: images that are not attacked"


def from_dataset(
    dataset: Dataset, source: str, count: int, seed: int, left_out: frozenset[str] | set[str] = frozenset()
) -> CalibrationImages:
    """Up to `count` random images of a data set.

    Args:
        dataset: to draw from.
        source: where the images come from, in words.
        count: most images.
        seed: of the draw.
        left_out: sha256 of images not to take.

    Raises:
        DataError: for an image that cannot be used.
    """
    chosen: dict[int, CalibrationImage] = {}
    kept: dict[int, RgbImage] = {}
    for index in np.random.default_rng([seed, STREAM]).permutation(len(dataset)).tolist():
        if len(chosen) == count:
            break
        example = dataset[index]
        digest = sha256(example.image.tobytes())
        if digest not in left_out:
            chosen[index] = CalibrationImage(example.id, digest)
            if len(chosen) * example.image.nbytes <= KEPT_BYTES:
                kept[index] = example.image.copy()
    places = sorted(chosen)
    images = tuple(chosen[place] for place in places)

    def load(position: int) -> RgbImage:
        place = places[position]
        return kept[place] if place in kept else dataset[place].image

    return CalibrationImages(source, seed, images, load)


def from_contents(contents: Contents, why: str, count: int, seed: int) -> CalibrationImages:
    """Up to `count` random clean images of the set itself.

    Args:
        contents: of the bundle.
        why: there are no others.
        count: most images.
        seed: of the draw.
    """
    every = list(contents.clean)
    places = sorted(np.random.default_rng([seed, STREAM]).permutation(len(every))[:count].tolist())
    ids = [every[place] for place in places]
    images = tuple(CalibrationImage(id, sha256(contents.image(id).tobytes())) for id in ids)
    source = f"{OWN_IMAGES}; {why}"
    return CalibrationImages(source, seed, images, lambda position: contents.image(ids[position]))

"""Label files that other programs have stored in another way, and images that are stored turned."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image

from segeval.classes import CITYSCAPES, IGNORE
from segeval.datasets import open_dataset
from segeval.datasets.cityscapes import ID_VALUES
from segeval.datasets.label_files import read_labels
from segeval.datasets.meaning import label_values
from segeval.errors import DataError

VALUES = label_values(CITYSCAPES)
LABELS = np.array([[0, 7, 7, 13], [255, 13, 0, 7]], np.uint8)


def indexed(path: Path, indices: NDArray[np.uint8], palette: Sequence[int]) -> Path:
    """A palette PNG. palette: grey levels."""
    image = Image.frombytes("P", indices.shape[::-1], indices.tobytes())
    image.putpalette([level for each in palette for level in (each, each, each)])
    image.save(path)
    return path


def optimised(path: Path, labels: NDArray[np.uint8]) -> Path:
    """What a lossless PNG optimiser makes of a grey label file: the levels there are, and their numbers."""
    levels, indices = np.unique(labels, return_inverse=True)
    return indexed(path, indices.reshape(labels.shape).astype(np.uint8), levels.tolist())


def test_an_optimised_grey_file_holds_the_same_labels(tmp_path: Path) -> None:
    path = optimised(tmp_path / "mask.png", LABELS)
    with Image.open(path) as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.array(image.convert("L")), LABELS)
    np.testing.assert_array_equal(read_labels(path, VALUES, CITYSCAPES), LABELS)


def test_so_does_one_of_ids(tmp_path: Path) -> None:
    ids = np.array([[7, 26, 11], [0, 33, 7]], np.uint8)
    expected = np.array([[0, 13, 2], [IGNORE, 18, 0]], np.uint8)
    np.testing.assert_array_equal(read_labels(optimised(tmp_path / "m.png", ids), ID_VALUES, CITYSCAPES), expected)


def test_a_coloured_palette_is_a_picture_of_the_indices(tmp_path: Path) -> None:
    image = Image.frombytes("P", (4, 2), LABELS.clip(0, 18).tobytes())
    image.putpalette([level for colour in CITYSCAPES.palette for level in colour])
    image.save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "m.png", VALUES, CITYSCAPES), LABELS.clip(0, 18))


def test_a_grey_palette_without_meaning_shows_the_indices(tmp_path: Path) -> None:
    path = indexed(tmp_path / "m.png", LABELS.clip(0, 18), [12 * index for index in range(20)])
    np.testing.assert_array_equal(read_labels(path, VALUES, CITYSCAPES), LABELS.clip(0, 18))


def test_a_grey_palette_that_could_be_either_is_refused(tmp_path: Path) -> None:
    indices = np.array([[0, 1, 2]], np.uint8)
    with pytest.raises(DataError, match="both its indices and its grey levels could be labels"):
        read_labels(indexed(tmp_path / "m.png", indices, [0, 2, 4, 6]), VALUES, CITYSCAPES)


def test_so_is_one_of_black_and_white(tmp_path: Path) -> None:
    """Class 1 in white would be 255, which never counts: nothing would be measured, without a word."""
    with pytest.raises(DataError, match="both its indices and its grey levels could be labels"):
        read_labels(indexed(tmp_path / "m.png", np.array([[0, 1, 1]], np.uint8), [0, 255]), VALUES, CITYSCAPES)


def test_indices_beyond_a_grey_palette_are_no_levels(tmp_path: Path) -> None:
    path = indexed(tmp_path / "m.png", np.array([[0, 1, 2]], np.uint8), [0, 1, 2])
    data = path.read_bytes()
    start = data.index(b"PLTE") - 4
    colours = b"PLTE" + bytes([0, 0, 0, 1, 1, 1])
    chunk = (6).to_bytes(4) + colours + zlib.crc32(colours).to_bytes(4)
    path.write_bytes(data[:start] + chunk + data[start + 12 + int.from_bytes(data[start : start + 4]) :])
    np.testing.assert_array_equal(read_labels(path, VALUES, CITYSCAPES), [[0, 1, 2]])


def folder_of(root: Path, image: Image.Image, mask: Image.Image, **options: Any) -> Path:
    """A folder dataset of one image. options: of the image's file."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    (root / "classes.txt").write_text("cityscapes\n")
    image.save(root / "images/a.png", **options)
    mask.save(root / "masks/a.png")
    return root


def turned(number: int) -> Image.Exif:
    """EXIF data that says how a picture is stored."""
    found = Image.Exif()
    found[ExifTags.Base.Orientation] = number
    return found


PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (2, 4, 3), np.uint8))


@pytest.mark.parametrize("number", range(2, 9))
def test_a_turned_image_with_a_mask_that_is_not_is_refused(tmp_path: Path, number: int) -> None:
    root = folder_of(tmp_path, PICTURE, Image.fromarray(LABELS), exif=turned(number))
    with pytest.raises(DataError, match=f"EXIF orientation {number}, its label file .* has 1"):
        open_dataset("folder", root)[0]


def test_both_turned_alike_are_both_turned_back(tmp_path: Path) -> None:
    root = folder_of(tmp_path, PICTURE.rotate(180), Image.fromarray(LABELS).rotate(180), exif=turned(3))
    Image.fromarray(LABELS).rotate(180).save(root / "masks/a.png", exif=turned(3))
    example = open_dataset("folder", root)[0]
    np.testing.assert_array_equal(example.image, np.array(PICTURE))
    np.testing.assert_array_equal(example.labels, LABELS)


def test_names_in_two_unicode_forms_are_one(tmp_path: Path) -> None:
    root = folder_of(tmp_path, PICTURE, Image.fromarray(LABELS))
    (root / "images/a.png").rename(root / "images/\u00e9.png")
    (root / "masks/a.png").rename(root / "masks/e\u0301.png")
    dataset = open_dataset("folder", root)
    assert tuple(dataset.ids) == ("\u00e9",)
    np.testing.assert_array_equal(dataset[0].labels, LABELS)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    root = folder_of(tmp_path, PICTURE, Image.fromarray(LABELS))
    Image.fromarray(LABELS).save(root / "masks/\u00e9.png")
    Image.fromarray(LABELS).save(root / "masks/e\u0301.png")
    with pytest.raises(DataError, match="the same name 'é', in two Unicode forms"):
        open_dataset("folder", root)

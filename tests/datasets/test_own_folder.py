"""A folder of the user's own: what masks may hold, where files may lie, and what is refused by name."""

import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segeval.classes import CITYSCAPES
from segeval.datasets.folder import open_folder
from segeval.datasets.sizes import most_common, told_of_sizes
from segeval.errors import DataError

LABELS = np.array([[0, 1, 2, 0], [2, 2, 1, 255]], np.uint8)
COLOURS = {0: (128, 64, 128), 1: (0, 0, 142), 2: (1, 2, 3), 255: (0, 0, 0)}
CLASSES = """
classes = [
    {name = "Straße", colour = "#804080", canonical = "road"},
    {name = "Auto", colour = "#00008e", canonical = "car"},
    {name = "sonst", colour = "#010203"},
]
ignore = ["#000000", 255]
"""


@pytest.fixture
def root(tmp_path: Path, save: Any) -> Path:
    (tmp_path / "classes.toml").write_text(CLASSES, encoding="utf-8")
    save(tmp_path / "images" / "one.png", np.zeros((2, 4, 3), np.uint8))
    return tmp_path


def coloured(labels: np.ndarray) -> np.ndarray:
    return np.array([[COLOURS[int(value)] for value in row] for row in labels], np.uint8)


def labels_of(root: Path, index: int = 0, split: str = "test") -> np.ndarray:
    labels = open_folder(root, split)[index].labels
    assert labels is not None
    return labels


def test_ids_colours_and_palettes_say_the_same(root: Path, save: Any) -> None:
    path = root / "masks" / "one.png"
    save(path, LABELS)
    np.testing.assert_array_equal(labels_of(root), LABELS)
    save(path, coloured(LABELS))
    np.testing.assert_array_equal(labels_of(root), LABELS)
    palette = Image.frombytes("P", (4, 2), LABELS.tobytes())
    palette.putpalette([channel for value in range(256) for channel in COLOURS.get(value, (9, 9, 9))])
    palette.save(path)
    np.testing.assert_array_equal(labels_of(root), LABELS)
    assert open_folder(root).table.canonical == ("road", "car", "sonst")


def test_an_unknown_colour_is_named_with_its_place_and_its_nearest(root: Path, save: Any) -> None:
    picture = coloured(LABELS)
    picture[1, 2] = (1, 0, 142)
    save(root / "masks" / "one.png", picture)
    with pytest.raises(
        DataError, match=r"one\.png: the colour #01008e at x 2, y 1 belongs to no class; 1 of 8"
    ) as caught:
        labels_of(root)
    assert "#00008e" in caught.value.hint


def test_a_palette_that_contradicts_the_numbers_is_refused(root: Path) -> None:
    (root / "masks").mkdir()
    palette = Image.frombytes("P", (4, 2), LABELS.clip(0, 2).tobytes())
    palette.putpalette([channel for value in (1, 0, 2) for channel in COLOURS[value]])
    palette.save(root / "masks" / "one.png")
    with pytest.raises(DataError, match="but at other numbers than theirs"):
        labels_of(root)


@pytest.mark.parametrize(
    ("said", "stored", "expected"),
    [
        ('[map]\n7 = "road"\n8 = "car"\n9 = "ignore"', [7, 8, 9, 255], [0, 1, 255, 255]),
        ('[map]\n7 = "road"\n8 = "road"\n9 = "car"', [7, 8, 9, 255], [0, 0, 1, 255]),
        ('ignore = "others"\n[map]\n7 = "car"', [7, 8, 200, 0], [1, 255, 255, 255]),
        ("ignore = [9]", [0, 1, 9, 9], [0, 1, 255, 255]),
    ],
)
def test_values_are_merged_renamed_and_ignored(
    root: Path, save: Any, said: str, stored: list[int], expected: list[int]
) -> None:
    (root / "classes.toml").write_text(f'classes = ["road", "car"]\n{said}\n')
    save(root / "masks" / "one.png", np.array([stored] * 2, np.uint8))
    np.testing.assert_array_equal(labels_of(root), [expected] * 2)


def test_masks_of_0_and_255_are_two_classes_and_that_is_said(root: Path, save: Any) -> None:
    (root / "classes.toml").write_text('classes = ["ground", "free space"]')
    save(root / "masks" / "one.png", np.array([[0, 255, 255, 0]] * 2, np.uint8))
    dataset = open_folder(root)
    np.testing.assert_array_equal(labels_of(root), [[0, 1, 1, 0]] * 2)
    assert "255 as free space" in dataset.notes[0]
    (root / "classes.toml").write_text('classes = ["ground", "free space"]\nignore = [255]')
    np.testing.assert_array_equal(labels_of(root), [[0, 255, 255, 0]] * 2)
    assert not open_folder(root).notes


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("classes = [", "it must be TOML|cannot read the class list"),
        ("clases = ['road']", "unknown key 'clases'"),
        ("classes = [{nme = 'road'}]", "unknown key 'nme'"),
        ("", "it needs either classes or table"),
        ("table = 'cityscape'", "unknown class table 'cityscape'"),
        ("classes = ['road', 'Road']", "the class 'Road' is listed twice"),
        ("classes = [{name='a', colour='#010203'}, {name='b', colour='#010203'}]", "the same colour"),
        ("classes = ['road']\nvalues = 'colours'", "no class has a colour"),
        ("classes = ['road']\nvalues = 'numbers'", "Invalid enum value 'numbers'"),
        ("classes = ['road']\nignore = [0]", "0 is the class 'road'"),
        ("classes = ['road']\n[map]\n7 = 'raod'", "unknown class 'raod'"),
        ("classes = ['road']\n[map]\n65536 = 'road'", "neither a value from 0 to 65535 nor a colour"),
        ("classes = ['road']\nmasks = 'm/{name}.png'", "gives the place of masks, but not of images"),
        ("classes = ['road']\nimages = '../{name}.png'", "leads out of the folder"),
        ("classes = ['road']\nimages = 'images/one.png'", "is not a path pattern"),
    ],
)
def test_a_class_file_that_says_something_wrong_is_refused(root: Path, text: str, complaint: str) -> None:
    (root / "classes.toml").write_text(text)
    with pytest.raises(DataError, match=complaint) as caught:
        open_folder(root)
    assert "classes.toml" in str(caught.value)


def test_the_two_class_lists_are_not_given_together(root: Path) -> None:
    (root / "classes.txt").write_text("road\n")
    with pytest.raises(DataError, match=r"both classes\.toml and classes\.txt") as caught:
        open_folder(root)
    assert "delete classes.txt. classes.toml lists the classes in the order of their labels" in caught.value.hint


@pytest.mark.parametrize(
    ("image", "mask", "split", "name"),
    [
        ("images/a/b/1.jpg", "masks/a/b/1.png", "test", "a__b__1"),
        ("val/images/1.png", "val/masks/1.png", "val", "1"),
        ("images/val/1.png", "masks/val/1.png", "val", "1"),
    ],
)
def test_files_lie_in_sub_folders_and_splits_either_way(
    tmp_path: Path, save: Any, image: str, mask: str, split: str, name: str
) -> None:
    (tmp_path / "classes.txt").write_text("road\ncar\nelse\n")
    save(tmp_path / image, np.zeros((2, 4, 3), np.uint8))
    save(tmp_path / mask, LABELS)
    assert list(open_folder(tmp_path, split).ids) == [name]
    np.testing.assert_array_equal(labels_of(tmp_path, split=split), LABELS)


PATTERNS: Mapping[str, tuple[str, str, str]] = {
    "Cityscapes": (
        'table = "cityscapes"\nimages = "leftImg8bit/{split}/{name}_leftImg8bit.png"\n'
        'masks = "gtFine/{split}/{name}_gtFine_labelTrainIds.png"',
        "leftImg8bit/val/town/town_1_leftImg8bit.png",
        "gtFine/val/town/town_1_gtFine_labelTrainIds.png",
    ),
    "COCO stuff": (
        'classes = ["person", "car", "else"]\nimages = "{split}2017/{name}.jpg"\n'
        'masks = "stuffthingmaps/{split}2017/{name}.png"',
        "val2017/000000000139.jpg",
        "stuffthingmaps/val2017/000000000139.png",
    ),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_datasets_of_other_layouts_are_described_by_patterns(tmp_path: Path, save: Any, name: str) -> None:
    text, image, mask = PATTERNS[name]
    (tmp_path / "classes.toml").write_text(text)
    save(tmp_path / image, np.zeros((2, 4, 3), np.uint8))
    save(tmp_path / mask, LABELS)
    np.testing.assert_array_equal(labels_of(tmp_path, split="val"), LABELS)


@pytest.mark.parametrize(
    ("images", "masks", "there"),
    [
        ("{split}2017/{name}.jpg", "panoptic_{split}2017/{name}.png", "day, night"),
        ("rgb/{split}/{name}.jpg", "", "day, night"),
        ("{split}/{split}-rgb/{name}.jpg", "{split}/labels/{name}.png", "day, night"),
        ("rgb/{split}/{name}.jpg", "labels/{split}/{name}.png", ""),
    ],
)
def test_a_split_that_is_not_there_brings_those_that_are(tmp_path: Path, images: str, masks: str, there: str) -> None:
    said = f'images = "{images}"\n' + (f'masks = "{masks}"\n' if masks else "")
    (tmp_path / "classes.toml").write_text(f'classes = ["road"]\n{said}')
    (tmp_path / ".hidden2017").mkdir()
    for pattern in [images, masks][: 2 if there else 1]:
        for split in ("night", "day"):
            (tmp_path / pattern.replace("{split}", split)).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / images.replace("{split}", "test")).parent.mkdir(parents=True, exist_ok=True)
    asked = "test" if masks else "val"
    with pytest.raises(DataError, match=f"has no split '{asked}'") as caught:
        open_folder(tmp_path, asked)
    known = there if masks else f"{there}, test"
    assert caught.value.hint == (
        f"choose one with --split: {known}" if there else "no split is there: check --data-root"
    )


def test_a_list_says_which_mask_belongs_to_which_image(root: Path, save: Any) -> None:
    save(root / "annotated" / "x7.png", LABELS)
    save(root / "photos" / "two.png", np.zeros((2, 4, 3), np.uint8))
    (root / "pairs.csv").write_text("image,mask,split\nimages/one.png,annotated/x7.png,val\nphotos/two.png,,test\n")
    np.testing.assert_array_equal(labels_of(root, split="val"), LABELS)
    dataset = open_folder(root, "test")
    assert list(dataset.ids) == ["photos__two"] and dataset[0].labels is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty or has no column image"),
        ("image,maks\nimages/one.png,\n", "unknown column 'maks'"),
        ("image,mask\nimages/one.png\n", "line 2: 'images/one.png' is not image,mask"),
        ("image\n../one.png\n", "is not in"),
        ("image\n/etc/one.png\n", "is not in"),
        ("image\nimages/two.png\n", r"line 2: .*two\.png is missing"),
        ("image,split\nimages/one.png,val\n", "has no split 'test'"),
        ("image\nimages/one.png\nimages/one.png\n", "have the same name"),
    ],
)
def test_a_list_that_says_something_wrong_is_refused(root: Path, text: str, complaint: str) -> None:
    (root / "pairs.csv").write_text(text)
    with pytest.raises(DataError, match=complaint):
        open_folder(root)


def test_a_mask_saved_as_jpeg_is_refused_and_not_left_out(root: Path) -> None:
    (root / "masks").mkdir()
    Image.fromarray(coloured(LABELS)).save(root / "masks" / "one.jpg")
    with pytest.raises(DataError, match=r"one\.jpg: a label file saved as JPEG"):
        labels_of(root)


def test_names_that_differ_in_capitals_or_formats_nobody_reads_are_refused(root: Path, save: Any) -> None:
    save(root / "images" / "ONE.png", np.zeros((2, 4, 3), np.uint8))
    with pytest.raises(DataError, match="differ only in capitals"):
        open_folder(root)
    (root / "images" / "ONE.png").rename(root / "images" / "two.tiff")
    with pytest.raises(DataError, match=r"two\.tiff: files that end in \.tiff are not read here"):
        open_folder(root)


def test_names_are_the_same_in_either_unicode_form(root: Path, save: Any) -> None:
    save(root / "images" / f"{unicodedata.normalize('NFD', 'café')}.png", np.zeros((2, 4, 3), np.uint8))
    save(root / "masks" / f"{unicodedata.normalize('NFC', 'café')}.png", LABELS)
    assert list(open_folder(root).ids) == ["café", "one"]
    np.testing.assert_array_equal(labels_of(root, 0), LABELS)


def test_a_mask_without_its_image_names_the_one_that_was_meant(root: Path, save: Any) -> None:
    save(root / "masks" / "onne.png", LABELS)
    with pytest.raises(DataError, match="no image is named onne") as caught:
        open_folder(root)
    assert "did you mean one" in caught.value.hint


def test_images_without_masks_are_counted(root: Path, save: Any) -> None:
    save(root / "images" / "two.png", np.zeros((2, 4, 3), np.uint8))
    save(root / "masks" / "two.png", LABELS)
    assert open_folder(root).notes == ("1 of 2 images have no mask and count in no mIoU, as one",)


def test_images_alone_take_the_classes_of_the_network(tmp_path: Path, save: Any) -> None:
    save(tmp_path / "one.png")
    assert open_folder(tmp_path, table=CITYSCAPES).table is CITYSCAPES
    save(tmp_path / "images" / "one.png", np.zeros((2, 4, 3), np.uint8))
    save(tmp_path / "masks" / "one.png", LABELS)
    with pytest.raises(DataError, match="no class list that says what they mean"):
        open_folder(tmp_path, table=CITYSCAPES)


def test_images_of_several_sizes_go_to_the_most_common_one() -> None:
    sizes = [(4, 8), (2, 4), (4, 8), (8, 8)]
    assert most_common(sizes) == (4, 8)
    told = told_of_sizes(sizes, (4, 8))
    assert told.startswith("images are 4x8 (2), 2x4 (1), 8x8 (1): all are resized to 4x8")
    assert "stretches 1 of 4" in told and not told_of_sizes([(4, 8)], (4, 8))


def test_images_that_are_no_plain_rgb_are_named(root: Path, save: Any) -> None:
    save(root / "images" / "rgba.png", np.zeros((2, 4, 4), np.uint8))
    save(root / "images" / "grey.png", np.zeros((2, 4), np.uint8))
    Image.new("P", (4, 2)).save(root / "images" / "palette.png", transparency=0)
    dataset = open_folder(root)
    alpha, grey, palette = dataset.told_of(range(4))
    assert alpha.startswith("2 of 4 image files have an alpha channel, which is dropped") and alpha.endswith("palette")
    assert grey.startswith("1 of 4 image files are grey") and palette.startswith("1 of 4 image files have a palette")
    assert dataset.told_of([list(dataset.ids).index("one")]) == []


def test_transparent_pixels_of_a_mask_of_ids_are_not_taken_for_labels(root: Path, save: Any) -> None:
    (root / "classes.toml").write_text('classes = ["road", "car", "rest"]\nvalues = "ids"\n')
    picture = np.dstack([LABELS, LABELS, LABELS, np.full_like(LABELS, 255)])
    save(root / "masks" / "one.png", picture)
    np.testing.assert_array_equal(labels_of(root), LABELS)
    picture[1, 2, 3] = 0
    save(root / "masks" / "one.png", picture)
    with pytest.raises(DataError, match="the pixel at x 2, y 1 is transparent"):
        labels_of(root)


@pytest.mark.parametrize("void", [3, 11, 65535, -1])
def test_another_value_may_never_count(root: Path, save: Any, void: int) -> None:
    stored = LABELS.astype(np.uint16)
    stored[LABELS == 255] = void % 65536
    save(root / "masks" / "one.png", stored.astype(np.uint8) if 0 <= void < 256 else stored)
    (root / "classes.toml").unlink()
    (root / "classes.txt").write_text("road\ncar\nrest\n")
    with pytest.raises(DataError, match=f"label value {void % 65536} is not in the class table") as caught:
        labels_of(root)
    assert f"write ignore = [{void % 65536}] into its classes.toml, or give --ignore" in caught.value.hint
    labels = open_folder(root, ignore=[void])[0].labels
    np.testing.assert_array_equal(labels, LABELS)
    (root / "classes.txt").unlink()
    (root / "classes.toml").write_text(f'classes = ["road", "car", "rest"]\nignore = [{void}]\n')
    np.testing.assert_array_equal(labels_of(root), LABELS)
    with pytest.raises(DataError, match="says itself what never counts"):
        open_folder(root, ignore=[void])


def test_zero_may_never_count(root: Path, save: Any) -> None:
    save(root / "masks" / "one.png", LABELS + 1)  # 255 becomes 0
    classes = 'classes = ["road", "car", "rest"]\n'
    (root / "classes.toml").write_text(classes)
    with pytest.raises(DataError, match="--ignore: 0 is the class 'road'") as caught:
        open_folder(root, ignore=[0])
    assert "if 'road' is 1, write first = 1 into classes.toml" in caught.value.hint
    (root / "classes.toml").write_text(f"{classes}first = 1\n")
    np.testing.assert_array_equal(open_folder(root, ignore=[0])[0].labels, LABELS)
    (root / "classes.toml").write_text(f"{classes}first = 1\nignore = [0]\n")
    np.testing.assert_array_equal(labels_of(root), LABELS)

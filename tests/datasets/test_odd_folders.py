"""Folders that are nearly right: what would have been left out or misread in silence is said or refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segeval.classes import CAMVID, IGNORE
from segeval.datasets.folder import open_folder
from segeval.datasets.meaning import UNKNOWN, Meaning
from segeval.errors import DataError
from segeval.files.sets import CraftConfig
from segeval.generate.crafting.setup import Setup

DARK = np.zeros((6, 8), np.uint8)
SPOT = np.pad(np.full((2, 2), 255, np.uint8), ((1, 3), (2, 4)))
COLOURS = st.tuples(*[st.integers(0, 3)] * 3)


@pytest.fixture
def root(tmp_path: Path, save: Any) -> Path:
    (tmp_path / "classes.txt").write_text("road\ncar\n")
    save(tmp_path / "images" / "one.png")
    return tmp_path


@given(st.dictionaries(COLOURS, st.integers(0, 9), min_size=1), st.lists(COLOURS, min_size=1), st.booleans())
def test_each_colour_means_what_the_table_says(
    known: dict[tuple[int, int, int], int], pixels: list[tuple[int, int, int]], others: bool
) -> None:
    """Against a dictionary, pixel by pixel."""
    rest = IGNORE if others else UNKNOWN
    found = Meaning({}, known, others=rest).of_colours(np.array([pixels], np.uint8))
    assert found.tolist() == [[known.get(pixel, rest) for pixel in pixels]]


def test_one_class_does_not_say_what_black_and_white_are(root: Path, save: Any) -> None:
    (root / "classes.txt").write_text("lane\n")
    save(root / "masks" / "one.png", SPOT)
    with pytest.raises(DataError, match="contain only 0 and 255, but the class list has one class"):
        open_folder(root)


@pytest.mark.parametrize("kind", ["grey", "rgb", "bit"])
def test_black_and_white_of_every_kind_are_two_classes(root: Path, save: Any, kind: str) -> None:
    kinds = {"grey": SPOT, "rgb": np.stack([SPOT] * 3, -1), "bit": SPOT > 0}
    save(root / "masks" / "one.png", kinds[kind])
    dataset = open_folder(root)
    np.testing.assert_array_equal(dataset[0].labels, SPOT > 0)
    assert "0 is read as road, 255 as car" in dataset.notes[0]


def test_a_single_mask_with_a_1_makes_255_what_never_counts(root: Path, save: Any) -> None:
    for number in range(20):
        save(root / "images" / f"{number}.png")
        save(root / "masks" / f"{number}.png", DARK if number < 18 else SPOT)
    save(root / "masks" / "0.png", SPOT // 255)
    dataset = open_folder(root)
    labels = dataset[dataset.ids.index("19")].labels
    assert labels is not None and set(labels.flat) == {0, IGNORE}


def test_rare_white_is_found_among_many_black_masks(root: Path, save: Any) -> None:
    for number in range(40):
        save(root / "images" / f"{number}.png")
        save(root / "masks" / f"{number}.png", SPOT if number == 37 else DARK)
    dataset = open_folder(root)
    np.testing.assert_array_equal(dataset[dataset.ids.index("37")].labels, SPOT > 0)


def test_masks_that_lie_elsewhere_and_missing_class_lists_are_told(root: Path, save: Any) -> None:
    save(root / "labels" / "one.png", DARK)
    (note,) = open_folder(root).notes
    assert "not in labels/ that is there. Rename it to masks, or delete" in note
    (root / "classes.txt").unlink()
    told, place = open_folder(root, table=CAMVID).notes
    assert "its classes are those of the network, camvid" in told
    lines = 'images = "images/{name}"\nmasks = "labels/{name}"'
    assert place.endswith(f"classes.toml:\nclasses = [...]  # names in the order of the labels\n{lines}")
    (root / "classes.toml").write_text('classes = ["a", "b"]\n[map]\n0 = "a"')
    (note,) = open_folder(root).notes
    assert note.endswith(f"add to {root / 'classes.toml'}, above every [table]:\n{lines}")


@pytest.mark.parametrize("listed", ["road\ncar\n", 'a "b" #010203\n\u00e4 #0a0b0c\nplain\n', "camvid\n"])
def test_masks_that_lie_elsewhere_are_read_once_the_advice_is_followed(root: Path, save: Any, listed: str) -> None:
    (root / "classes.txt").write_text(listed, encoding="utf-8")
    save(root / "labels" / "one.png", DARK)
    before = open_folder(root)
    place = f"delete {root / 'classes.txt'} and write {root / 'classes.toml'}:\n"
    (root / "classes.txt").unlink()
    (root / "classes.toml").write_text(before.notes[0].partition(place)[2], encoding="utf-8")
    after = open_folder(root)
    assert after[0].labels is not None and after.table == before.table and not after.notes


def test_masks_beside_the_images_are_no_images(root: Path, save: Any) -> None:
    (root / "classes.txt").unlink()
    (root / "classes.toml").write_text('classes = ["a", "b"]\nimages = "all/{name}.png"\nmasks = "all/{name}_mask.png"')
    save(root / "all" / "one.png")
    save(root / "all" / "one_mask.png", DARK)
    assert list(open_folder(root).ids) == ["one"]


def test_links_are_followed_but_not_in_circles_and_not_to_nowhere(root: Path, save: Any, tmp_path: Path) -> None:
    save(tmp_path / "elsewhere" / "two.png")
    (root / "images" / "more").symlink_to(tmp_path / "elsewhere")
    (root / "images" / "again").symlink_to(".")
    assert list(open_folder(root).ids) == ["more__two", "one"]
    (root / "images" / "gone.png").symlink_to("nowhere.png")
    with pytest.raises(DataError, match=r"gone\.png is a broken link to nowhere\.png"):
        open_folder(root)


def test_a_folder_called_images_inside_images_is_no_split(root: Path, save: Any) -> None:
    save(root / "images" / "images" / "two.png")
    assert list(open_folder(root).ids) == ["images__two", "one"]


def test_an_image_of_too_many_pixels_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 47)
    with pytest.raises(DataError, match=r"one\.png cannot be read: it has more pixels") as caught:
        open_folder(root)[0]
    assert caught.value.hint == "images of up to 47 pixels are read"


def test_crafting_brings_images_of_several_sizes_to_the_most_common(tmp_path: Path, save: Any) -> None:
    for name, size in {"a": (64, 96), "b": (64, 128), "c": (64, 128), "d": (128, 256)}.items():
        save(tmp_path / f"{name}.png", np.zeros((*size, 3), np.uint8))
    config = CraftConfig(
        dataset="folder", models=("espnet-synthetic",), attacks=("fgsm",), tasks=("car:road",), data_root=str(tmp_path)
    )
    setup = Setup(config)
    assert {setup.dataset[index].image.shape for index in setup.chosen} == {(64, 128, 3)}
    assert "resized to 64x128, which stretches 1 of 4 out of shape; that is the most common size" in setup.notes[-1]
    worker = Setup(config, size=setup.size)
    assert setup.size == (64, 128) and worker.notes == setup.notes[:-1], "what one process has settled, others take"
    assert {worker.dataset[index].image.shape for index in worker.chosen} == {(64, 128, 3)}

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segeval.classes import CAMVID, CITYSCAPES, IGNORE
from segeval.datasets import open_dataset
from segeval.datasets.class_lists import read_text_list
from segeval.datasets.folder import open_folder
from segeval.errors import ConfigurationError, DataError


@pytest.fixture
def root(tmp_path: Path, save: Any) -> Path:
    (tmp_path / "classes.txt").write_text("sky\nTree\ncar\n")
    save(tmp_path / "images" / "one.png")
    save(tmp_path / "images" / "two.JPG")
    save(tmp_path / "masks" / "one.png", np.array([[0, 1, 2, 255]] * 6, np.uint8).repeat(2, axis=1))
    return tmp_path


def test_masks_are_optional_per_image(root: Path) -> None:
    dataset = open_folder(root)
    assert list(dataset.ids) == ["one", "two"]
    assert dataset[1].image.shape == (6, 8, 3)
    assert dataset[1].labels is None
    labels = dataset[0].labels
    assert labels is not None
    assert set(np.unique(labels)) == {0, 1, 2, IGNORE}


def test_images_alone_will_do(root: Path) -> None:
    (root / "masks" / "one.png").unlink()
    (root / "masks").rmdir()
    dataset = open_folder(root)
    assert [dataset[index].labels for index in range(2)] == [None, None]


def test_a_mask_without_image_is_an_error(root: Path, save: Any) -> None:
    save(root / "masks" / "onne.png", labels=True)
    with pytest.raises(DataError, match=r"masks/onne\.png: no image is named onne"):
        open_folder(root)


def test_split_folders(root: Path, save: Any) -> None:
    assert list(open_folder(root, "whatever").ids) == ["one", "two"]
    save(root / "val" / "images" / "three.jpeg")
    assert list(open_folder(root, "val").ids) == ["three"]
    with pytest.raises(DataError, match="no split 'test'") as caught:
        open_folder(root, "test")
    assert caught.value.hint == "choose one with --split: val"


def test_images_are_brought_to_the_size_asked_for(root: Path) -> None:
    example = open_folder(root, size=(3, 4))[0]
    assert example.image.shape == (3, 4, 3)
    assert example.labels is not None
    np.testing.assert_array_equal(example.labels, [[0, 1, 2, 255]] * 3)
    with pytest.raises(ConfigurationError, match="image size 0x4 is not possible"):
        open_dataset("folder", root, size=(0, 4))


@pytest.mark.parametrize("text", ["camvid", "\ufeffcamvid\r\n"])
def test_a_class_list_may_name_a_known_table(tmp_path: Path, text: str) -> None:
    path = tmp_path / "classes.txt"
    path.write_text(text, encoding="utf-8")
    assert read_text_list(path).table is CAMVID


def test_classes_keep_their_order_get_colours_and_known_names(tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_text("sky\nPedestrian #0A0b0c\ntraffic light\nscooter\nhay bale\n")
    table = read_text_list(path).table
    assert table.names == ("sky", "Pedestrian", "traffic light", "scooter", "hay bale")
    assert table.canonical == ("sky", "person", "traffic light", "scooter", "hay bale")
    assert table.palette[:2] == (CITYSCAPES.palette[CITYSCAPES.names.index("sky")], (10, 11, 12))
    assert table.palette[3:] == ((0, 0, 128), (128, 0, 128))
    assert len(set(table.palette)) == 5


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "lists 0 classes"),
        ("road\n\nsky\n", "line 2: '' is not a class"),
        ("road\nsky #12345\n", "line 2: 'sky #12345' is not a class"),
        ("road\n#123456\n", "line 2: '#123456' is not a class"),
        ("road\nRoad\n", "line 2: the class 'Road' is listed twice"),
        ("\n".join(map(str, range(255))), "lists 255 classes"),
    ],
)
def test_bad_class_lists(root: Path, text: str, complaint: str) -> None:
    (root / "classes.txt").write_text(text)
    with pytest.raises(DataError, match=complaint):
        open_folder(root)


def test_bad_folders(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs a folder"):
        open_folder(None)
    with pytest.raises(DataError, match="nowhere does not exist"):
        open_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"classes\.txt is not a folder"):
        open_folder(root / "classes.txt")
    (root / "classes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot read the class list"):
        open_folder(root)
    (root / "classes.txt").unlink()
    with pytest.raises(DataError, match=r"has no class list, classes\.txt or classes\.toml") as caught:
        open_folder(root)
    assert "images/" in caught.value.hint


def test_no_images(root: Path) -> None:
    (root / "masks" / "one.png").unlink()
    for path in (root / "images").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="no images in"):
        open_folder(root)
    (root / "images").rmdir()
    with pytest.raises(DataError, match="has no folder images"):
        open_folder(root)

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segeval.classes import CAMVID, IGNORE
from segeval.datasets import open_dataset
from segeval.datasets.camvid import open_camvid
from segeval.errors import DataError


@pytest.fixture
def root(tmp_path: Path, save: Any) -> Path:
    for split in ("train", "val", "test"):
        for name in ("a10.png", "a9.png"):
            save(tmp_path / split / name)
            save(tmp_path / f"{split}annot" / name, np.full((6, 8), 11, np.uint8))
    return tmp_path


def test_label_11_becomes_ignore_and_the_others_stay(root: Path, save: Any) -> None:
    stored = np.arange(48, dtype=np.uint8).reshape(6, 8) % 12
    save(root / "testannot" / "a9.png", stored)
    dataset = open_camvid(root, "test")
    labels = dataset[dataset.ids.index("a9")].labels
    assert labels is not None
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, np.where(stored == 11, IGNORE, stored))


def test_frames_are_in_natural_order_with_their_stems_as_ids(root: Path) -> None:
    dataset = open_camvid(root, "val")
    assert list(dataset.ids) == ["a9", "a10"]
    assert [dataset[index].id for index in range(2)] == ["a9", "a10"]
    assert dataset.table is CAMVID


def test_unknown_split_names_those_there_are(root: Path) -> None:
    with pytest.raises(DataError, match="no split 'testing'") as caught:
        open_camvid(root, "testing")
    assert caught.value.hint == "choose one with --split: train, val, test"


def test_a_missing_annotation_folder_is_named(root: Path) -> None:
    (root / "testannot").rename(root / "elsewhere")
    with pytest.raises(DataError, match="testannot does not exist") as caught:
        open_camvid(root, "test")
    assert "trainannot/ valannot/ testannot/" in caught.value.hint


@pytest.mark.parametrize("gone", ["test/a9.png", "testannot/a9.png"])
def test_an_image_and_its_label_file_come_together(root: Path, gone: str) -> None:
    (root / gone).unlink()
    with pytest.raises(DataError, match=r"a9\.png: no image is named|a9\.png has no label file"):
        open_camvid(root, "test")


def test_without_a_root_the_users_data_folder_comes_before_the_cache(
    root: Path, tmp_path: Path, save: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, cache = tmp_path / "data", tmp_path / "cache"
    monkeypatch.setenv("SEGEVAL_DATA", str(data))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    with pytest.raises(DataError) as caught:
        open_dataset("camvid")
    assert str(data / "camvid") in caught.value.what
    assert str(cache / "segeval" / "camvid") in caught.value.what
    assert "--data-root" in caught.value.hint
    assert "testannot/" in caught.value.hint
    for place, name in ((cache / "segeval", "cached"), (data, "shared")):
        save(place / "camvid" / "test" / f"{name}.png")
        save(place / "camvid" / "testannot" / f"{name}.png", labels=True)
        assert list(open_dataset("camvid").ids) == [name]


@pytest.mark.parametrize(("split", "length"), [("train", 367), ("val", 101), ("test", 233)])
def test_real_splits(data: Path, split: str, length: int) -> None:
    dataset = open_camvid(data / "camvid", split)
    assert len(dataset) == len(set(dataset.ids)) == length
    for index in (0, length // 2, length - 1):
        example = dataset[index]
        assert example.image.shape == (360, 480, 3)
        assert example.labels is not None
        assert example.labels.shape == (360, 480)
        assert set(np.unique(example.labels)) <= {*range(11), IGNORE}
        assert np.count_nonzero(example.labels == CAMVID.find("road")) > 5000

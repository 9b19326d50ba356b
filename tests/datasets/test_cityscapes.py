from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segeval.classes import CITYSCAPES, IGNORE
from segeval.datasets.cityscapes import ID_VALUES, open_cityscapes
from segeval.errors import DataError

FRAME = "frankfurt_000000_000576"


def official(root: Path, split: str, name: str) -> tuple[Path, Path]:
    """Paths of a frame's image and label files, the latter without their ending."""
    city = name.partition("_")[0]
    return root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png", root / "gtFine" / split / city / name


def test_the_id_table_is_the_official_one() -> None:
    evaluated = {value: label for value, label in ID_VALUES.values.items() if label != IGNORE}
    # From cityscapesScripts, helpers/labels.py.
    by_name = {
        "road": 7, "sidewalk": 8, "building": 11, "wall": 12, "fence": 13, "pole": 17, "traffic light": 19,
        "traffic sign": 20, "vegetation": 21, "terrain": 22, "sky": 23, "person": 24, "rider": 25, "car": 26,
        "truck": 27, "bus": 28, "train": 31, "motorcycle": 32, "bicycle": 33,
    }  # fmt: skip
    assert {CITYSCAPES.names[label]: value for value, label in evaluated.items()} == by_name
    assert sorted(ID_VALUES.values) == list(range(34))


def test_official_layout_with_either_kind_of_label_file_or_none(tmp_path: Path, save: Any) -> None:
    for name in ("ulm_000001_000019", "ulm_000002_000019", "bochum_000000_000313"):
        save(official(tmp_path, "train", name)[0])
    ids = np.full((6, 8), 26, np.uint8)
    stem = official(tmp_path, "train", "ulm_000001_000019")[1]
    save(stem.with_name(f"{stem.name}_gtFine_labelIds.png"), ids)
    save(stem.with_name(f"{stem.name}_gtFine_labelTrainIds.png"), np.zeros_like(ids))
    stem = official(tmp_path, "train", "ulm_000002_000019")[1]
    save(stem.with_name(f"{stem.name}_gtFine_labelTrainIds.png"), np.full((6, 8), 255, np.uint8))

    stem = official(tmp_path, "train", "ulm_000003_000019")[1]
    save(stem.with_name(f"{stem.name}_gtFine_labelIds.png"), ids)

    dataset = open_cityscapes(tmp_path, "train", size=(6, 8))
    assert dataset.notes == (
        "1 of 3 frames have no label file and count in no mIoU, as bochum_000000_000313",
        "the label files of 1 frames are there without the frame, as ulm_000003_000019",
    )
    assert list(dataset.ids) == ["bochum_000000_000313", "ulm_000001_000019", "ulm_000002_000019"]
    unlabelled, from_ids, from_train_ids = (dataset[index].labels for index in range(3))
    assert unlabelled is None
    assert from_ids is not None
    assert (from_ids == CITYSCAPES.find("car")).all(), "labelIds come before labelTrainIds"
    assert from_train_ids is not None
    assert (from_train_ids == IGNORE).all()


def test_a_bare_folder_is_split_by_city(tmp_path: Path, save: Any) -> None:
    for city in ("aachen", "munster", "lindau", "berlin"):
        save(tmp_path / f"{city}_000000_000019_leftImg8bit.png")
    cities = {
        split: [name.partition("_")[0] for name in open_cityscapes(tmp_path, split).ids]
        for split in ("train", "val", "test", "all")
    }
    assert cities["train"] == ["aachen"]
    assert cities["val"] == ["lindau", "munster"]
    assert cities["test"] == ["berlin"]
    assert len(cities["all"]) == 4


def test_missing_things_are_named(tmp_path: Path, save: Any) -> None:
    with pytest.raises(DataError, match="no Cityscapes frames") as caught:
        open_cityscapes(tmp_path, "val")
    assert "leftImg8bit/SPLIT/CITY" in caught.value.hint
    save(tmp_path / "aachen_000000_000019_leftImg8bit.png")
    with pytest.raises(DataError, match="no split 'val'") as caught:
        open_cityscapes(tmp_path, "val")
    assert caught.value.hint == "choose one with --split: train, all"
    save(official(tmp_path, "val", FRAME)[0])
    with pytest.raises(DataError, match="no split 'test'") as caught:
        open_cityscapes(tmp_path, "test")
    assert caught.value.hint == "choose one with --split: val"


def test_frames_come_at_the_size_of_the_paper(tmp_path: Path, save: Any) -> None:
    save(tmp_path / f"{FRAME}_leftImg8bit.png", np.zeros((16, 32, 3), np.uint8))
    assert open_cityscapes(tmp_path, "val")[0].image.shape == (512, 1024, 3)
    assert open_cityscapes(tmp_path, "val", size=(4, 8))[0].image.shape == (4, 8, 3)


def test_real_frames_in_the_official_layout(data: Path, tmp_path: Path) -> None:
    frames = data / "cityscapes_frames"
    image, stem = official(tmp_path, "val", FRAME)
    for link, name in (
        (image, image.name),
        (stem.with_name(f"{FRAME}_gtFine_labelIds.png"), f"{FRAME}_gtFine_labelIds.png"),
    ):
        link.parent.mkdir(parents=True)
        link.symlink_to(frames / name)
    one = open_cityscapes(tmp_path, "val")[0]
    bare = open_cityscapes(frames, "val")[0]
    assert one.id == bare.id == FRAME
    np.testing.assert_array_equal(one.image, bare.image)
    assert one.labels is not None
    assert bare.labels is not None
    np.testing.assert_array_equal(one.labels, bare.labels)

    full = np.array(Image.open(frames / image.name)).astype(np.uint16)
    blocks = full[::2, ::2] + full[1::2, ::2] + full[::2, 1::2] + full[1::2, 1::2]
    opencv = open_cityscapes(tmp_path, "val", resize="opencv")[0]
    np.testing.assert_array_equal(opencv.image, (blocks + 2) >> 2)
    pillow = Image.open(frames / image.name).resize((1024, 512), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(one.image, np.array(pillow))


def test_real_train_ids_are_those_derived_from_the_ids(data: Path) -> None:
    frames = data / "cityscapes_frames"
    dataset = open_cityscapes(frames, "all", size=(1024, 2048))
    assert len(dataset) == 5
    assert len(open_cityscapes(frames, "train")) == 4
    for index in (0, 4):
        example = dataset[index]
        derived = np.array(Image.open(frames / f"{example.id}_gtFine_labelTrainIds.png"))
        assert example.labels is not None
        np.testing.assert_array_equal(example.labels, derived)


def test_the_shared_folder_is_searched_for_the_data_set_then_for_bare_frames(
    tmp_path: Path, save: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGEVAL_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(DataError, match=r"no cityscapes dataset at .*cityscapes nor at .*cityscapes_frames nor at "):
        open_cityscapes()
    save(tmp_path / "cityscapes_frames" / "munster_000000_000019_leftImg8bit.png")
    assert list(open_cityscapes().ids) == ["munster_000000_000019"]
    save(official(tmp_path / "cityscapes", "val", FRAME)[0])
    assert list(open_cityscapes().ids) == [FRAME]

from pathlib import Path

import numpy as np
import pytest

from segeval.classes import CITYSCAPES, IGNORE
from segeval.datasets import open_dataset
from segeval.datasets.synthetic import SPLITS, open_synthetic
from segeval.errors import DataError


def test_splits_have_scenes_of_their_own() -> None:
    seeds = {split: set(range(first, first + length)) for split, (first, length) in SPLITS.items()}
    assert sum(map(len, seeds.values())) == len(set().union(*seeds.values())) == 2200


def test_an_example_is_a_scene_of_the_size_asked_for_and_always_the_same() -> None:
    dataset = open_dataset("synthetic", split="test", size=(64, 128))
    assert len(dataset) == len(dataset.ids) == 100
    first, again, other = dataset[12], dataset[12], dataset[13]
    assert first.id == "synthetic-test-000012"
    assert first.image.shape == (64, 128, 3)
    assert first.image.dtype == np.uint8
    assert first.labels is not None
    assert first.labels.shape == (64, 128)
    assert set(np.unique(first.labels)) <= {*range(len(CITYSCAPES)), IGNORE}
    np.testing.assert_array_equal(first.image, again.image)
    assert (first.image != other.image).any()


def test_the_same_index_differs_between_splits() -> None:
    test, val = (open_synthetic(split=split, size=(64, 128))[0] for split in ("test", "val"))
    assert (test.image != val.image).any()
    assert open_synthetic()[0].image.shape == (256, 512, 3)


def test_unknown_split_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no split 'testing'") as caught:
        open_synthetic(split="testing")
    assert caught.value.hint == "choose one with --split: train, val, test"
    with pytest.raises(DataError, match="has no files"):
        open_synthetic(tmp_path)
    with pytest.raises(DataError, match="32x512 is too small"):
        open_synthetic(size=(32, 512))
    with pytest.raises(IndexError):
        open_synthetic()[100]

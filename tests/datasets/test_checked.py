"""Examples of a plug-in dataset are what `Example` says, or refused with the dataset's and the field's name."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from segeval.classes import CAMVID, IGNORE
from segeval.datasets import Example, default_split, open_dataset
from segeval.errors import DataError

GOOD = Example("a", np.zeros((2, 3, 3), np.uint8), np.array([[0, 1, IGNORE], [10, 0, 0]], np.uint8))


class Plugged:
    """A dataset of somebody's own."""

    def __init__(self, *examples: Example, ids: Sequence[Any] | None = None) -> None:
        self.table = CAMVID
        self.examples = examples
        self.ids = [example.id for example in examples] if ids is None else ids

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Example:
        return self.examples[index]


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Register a dataset; gives the name it is opened by."""

    def registered(dataset: Any) -> str:
        module = ModuleType("plugged")
        module.make = lambda root=None, split="mine", size=None: dataset  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "plugged", module)
        return "plugged:make"

    return registered


def test_a_good_example_is_given_as_it_is(plug: Any) -> None:
    assert open_dataset(plug(Plugged(GOOD)))[0] is GOOD
    assert open_dataset(plug(Plugged(replace(GOOD, labels=None))))[0].labels is None


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("image", np.zeros((2, 3, 3), np.float32), "image is float32"),
        ("image", np.zeros((2, 3), np.uint8), "image is uint8 (2, 3)"),
        ("image", [[0]], "image is a list"),
        ("labels", np.zeros((2, 3), np.int64), "labels is int64 (2, 3), not a uint8 array (2, 3)"),
        ("labels", np.zeros((3, 2), np.uint8), "labels is uint8 (3, 2)"),
        ("labels", np.full((2, 3), 11, np.uint8), "labels holds 11"),
        ("id", "b", "its id is 'b'"),
    ],
)
def test_a_bad_one_is_refused(plug: Any, field: str, value: Any, said: str) -> None:
    dataset = open_dataset(plug(Plugged(replace(GOOD, **{field: value}), ids=["a"])))
    with pytest.raises(DataError) as caught:
        dataset[0]
    assert caught.value.what.startswith("dataset plugged:make, example a:")
    assert said in caught.value.what


@pytest.mark.parametrize("ids", [["../a"], [""], ["a", "b"], [7], ["a\x1b"]])
def test_ids_are_file_names(plug: Any, ids: Sequence[Any]) -> None:
    with pytest.raises(DataError, match="dataset plugged:make"):
        open_dataset(plug(Plugged(GOOD, ids=ids)))


def test_an_id_that_occurs_twice_is_refused(plug: Any) -> None:
    with pytest.raises(DataError, match="occurs twice"):
        open_dataset(plug(Plugged(GOOD, GOOD)))


def test_the_default_split_is_the_datasets_own(plug: Any) -> None:
    assert [default_split(name) for name in ("cityscapes", "camvid", "folder", "synthetic")] == [
        "val", "test", "test", "test",
    ]  # fmt: skip
    assert default_split(plug(Plugged(GOOD))) == "mine"


def test_frames_of_other_splits_are_named(data: Path) -> None:
    dataset = open_dataset("cityscapes", data / "cityscapes_frames")
    assert tuple(dataset.ids) == ("frankfurt_000000_000576",)
    assert [name.partition("_")[0] for name in dataset.left_out] == ["aachen"] * 4

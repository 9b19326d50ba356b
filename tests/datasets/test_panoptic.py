"""COCO panoptic label files, as the page on inputs says to name them, against numbers that are worked out by hand."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segeval.datasets import open_dataset
from segeval.errors import DataError

PAGE = (Path(__file__).parents[2] / "docs/inputs.md").read_text(encoding="utf-8")
SEGMENTS = np.array([[0, 1, 300, 300], [70000, 1, 16777215, 0]])
"""Numbers of segments: of none, and as large as one, two and three bytes hold."""
CATEGORY = {1: 149, 300: 3, 70000: 1, 16777215: 200}
NAMES = {149: "road", 3: "car", 1: "person", 200: "rug-merged"}
LABELS = np.array([[255, 0, 1, 1], [2, 0, 255, 255]])


@pytest.fixture
def root(tmp_path: Path, save: Any) -> Path:
    """A folder as COCO's, with the class list of the page."""
    (tmp_path / "classes.toml").write_text(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[-1])
    save(tmp_path / "val2017/000139.jpg", np.zeros((2, 4, 3), np.uint8))
    colours = np.stack([SEGMENTS & 255, SEGMENTS >> 8 & 255, SEGMENTS >> 16], -1).astype(np.uint8)
    save(tmp_path / "panoptic_val2017/000139.png", colours)
    write(tmp_path, {})
    return tmp_path


def write(root: Path, changes: dict[str, Any]) -> None:
    """The file of segments."""
    segments = [{"id": number, "category_id": kind, "area": 1, "iscrowd": 0} for number, kind in CATEGORY.items()]
    annotation = {"image_id": 139, "file_name": "000139.png", "segments_info": segments}
    categories = [{"id": number, "name": name, "isthing": 0} for number, name in NAMES.items()]
    whole = {"annotations": [{**annotation, **changes}], "categories": categories, "images": []}
    (root / "annotations").mkdir(exist_ok=True)
    (root / "annotations/panoptic_val2017.json").write_text(json.dumps(whole))


def labels(root: Path) -> np.ndarray:
    found = open_dataset("folder", root, "val")[0].labels
    assert found is not None
    return found


def test_segments_are_the_classes_of_their_categories(root: Path) -> None:
    np.testing.assert_array_equal(labels(root), LABELS)


def test_numbers_of_categories_decide_where_they_are_given(root: Path) -> None:
    text = (root / "classes.toml").read_text()
    (root / "classes.toml").write_text(text + '[map]\n3 = "person"\n200 = "road"\n1 = "ignore"\n')
    expected = np.array([[255, 255, 2, 2], [255, 255, 0, 255]])
    np.testing.assert_array_equal(labels(root), expected)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"file_name": "000140.png"}, "has no segments of .*000139.png"),
        ({"segments_info": [{"id": 1, "category_id": 149}]}, "the colour #2c0100 at x 2, y 0 belongs to no class"),
        (
            {"segments_info": [{"id": 1 << 24, "category_id": 149}]},
            "segment 16777216 of 000139.png is not a possible colour",
        ),
        ({"segments_info": [{"id": 1, "category_id": 7}]}, "category 7, which categories do not name"),
        ({"segments_info": [{"id": "1"}]}, "cannot read the segments in .*panoptic_val2017.json"),
    ],
)
def test_what_does_not_fit_is_named(root: Path, changes: dict[str, Any], said: str) -> None:
    write(root, changes)
    with pytest.raises(DataError, match=said):
        labels(root)


def test_a_category_that_is_no_class_is_refused_unless_the_list_leaves_it_out(root: Path) -> None:
    text = (root / "classes.toml").read_text()
    (root / "classes.toml").write_text(re.sub("ignore = .*", "", text))
    with pytest.raises(DataError, match=r"segment 16777215 .* category 200, which is not a class of road, car, person"):
        labels(root)
    for wrong, said in (('values = "ids"', "with panoptic"), ('panoptic = "../x.json"', "leads out")):
        kept = "" if "values" in wrong else "panoptic = .*"
        changed = re.sub(kept, "", text) if kept else text
        (root / "classes.toml").write_text(f"{wrong}\n{changed}")
        with pytest.raises(DataError, match=said):
            labels(root)

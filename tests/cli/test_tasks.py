"""``segeval ls tasks`` of the classes of a dataset."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Call


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    (tmp_path / "classes.txt").write_text("person\npedestrian\nfahrbahn\n")
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(tmp_path / "one.png")
    return tmp_path


def test_what_can_be_asked_of_a_folder(pictures: Path, call: Call) -> None:
    ended = call("ls", "tasks", "--dataset", "folder", "--data-root", pictures, "--json")
    rows = {row["task"]: row["source classes"] for row in json.loads(ended.out)["tasks"]}
    assert rows["person:*"] == "person, pedestrian" and rows["*:fahrbahn"] == "person, pedestrian"
    assert "vru-lost" in rows and "vehicle-to-road" not in rows


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("models", "--dataset", "camvid"), "segeval ls tasks --dataset camvid"),
        (("tasks", "--split", "val"), "name it with --dataset"),
        (("tasks", "--dataset", "camvid", "--model", "espnet-camvid"), "give one of them"),
        (("tasks", "--dataset", "fodler"), "did you mean folder?"),
    ],
)
def test_what_belongs_to_no_dataset_is_refused(arguments: tuple[str, ...], said: str, call: Call) -> None:
    ended = call("ls", *arguments)
    assert ended.code == 2 and said in ended.err and "Traceback" not in ended.err

"""A reproduction whose directory is removed while it is made ends with an error, and nothing of it comes back."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from segeval.datasets import open_dataset
from segeval.errors import StorageError
from segeval.files.experiments import ExperimentConfig
from segeval.reproduce import Reproduction

SIZE = (64, 128)


@pytest.mark.parametrize("stage", ["table1: clean predictions", "table1: tanh", "gradient maps", "pictures"])
def test_a_directory_that_is_removed_does_not_come_back(tmp_path: Path, stage: str) -> None:
    example = open_dataset("synthetic", None, "test", SIZE)[16]
    assert example.labels is not None
    for kind, pixels in (("images", example.image), ("masks", example.labels)):
        (tmp_path / kind).mkdir()
        Image.fromarray(pixels).save(tmp_path / kind / "a.png")
    (tmp_path / "classes.txt").write_text("cityscapes")
    network, task = ("espnet-synthetic",), ("building,vegetation:road",)
    config = ExperimentConfig(
        "folder", "test", network, task, ("a",), ("a",), str(tmp_path), parts=("table1", "maps"), steps=1
    )
    out = tmp_path / "out"

    def tick(name: str, done: int, total: int) -> None:
        if name.startswith(stage) and out.exists():
            shutil.rmtree(out)

    with pytest.raises(StorageError, match=f"{out}.* was removed while it was being written"):
        Reproduction(config, out).run(False, tick)
    assert not out.exists()

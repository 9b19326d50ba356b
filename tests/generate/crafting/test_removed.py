"""The folder of a craft, a training or a bundle is removed while it is written: an error, and nothing comes back."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segeval.deploy.bundle import write_file
from segeval.errors import ConfigurationError, StorageError
from segeval.files.exclusive import only_writer
from segeval.files.new_folder import new_folder
from segeval.generate.crafting.craft import Crafter
from segeval.generate.training.config import TrainConfig
from segeval.generate.training.train import train

Make = Callable[[Path, int], object]


def after(ticks: int, do: Callable[[], object]) -> Callable[..., None]:
    """Progress that does something once."""
    left = ticks

    def tick(*step: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            do()

    return tick


@pytest.mark.parametrize("ticks", [1, 3, 4, 9, 20])
def test_a_set_that_is_removed_does_not_come_back(world: Any, tmp_path: Path, ticks: int) -> None:
    out = tmp_path / "set"
    with pytest.raises(StorageError, match=f"{out} was removed while it was being written"):
        Crafter(world.config, out).run(False, after(ticks, lambda: shutil.rmtree(out)))
    assert not out.exists()


def test_nor_do_the_processes_of_a_craft_bring_it_back(world: Any, tmp_path: Path) -> None:
    out = tmp_path / "set"
    with pytest.raises(StorageError, match=f"{out} was removed while it was being written"):
        Crafter(world.config, out).run(False, after(5, lambda: out.rename(tmp_path / "away")), workers=2)
    assert not out.exists()


@pytest.mark.parametrize("stage", ["reading examples", "epoch", "validation"])
def test_a_training_that_is_removed_does_not_come_back(make_dataset: Make, tmp_path: Path, stage: str) -> None:
    make_dataset(tmp_path / "data", 4)
    config = TrainConfig("espnet-synthetic", "folder", str(tmp_path / "data"), epochs=3, batch_size=2, crop=(64, 96))
    out = tmp_path / "out"

    def tick(name: str, done: int, total: int) -> None:
        if name.startswith(stage) and done == 2 and out.exists():
            shutil.rmtree(out)

    with pytest.raises(StorageError, match=f"{out} was removed while it was being written"):
        train(config, out, False, tick, lambda report: None)
    assert not out.exists()


def test_two_trainings_do_not_write_into_one_folder(make_dataset: Make, tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", 4)
    config = TrainConfig("espnet-synthetic", "folder", str(tmp_path / "data"), epochs=1, batch_size=2, crop=(64, 96))
    out = tmp_path / "out"
    with only_writer(out, "train"), pytest.raises(ConfigurationError, match="another process is writing into"):
        train(config, out, False, lambda *step: None, lambda report: None)
    assert not list(out.iterdir())


def test_a_bundle_whose_unfinished_folder_is_removed_is_none(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="was removed"), new_folder(tmp_path / "bundle", "bundle") as part:
        write_file(part, "models/a.onnx", b"1")
        shutil.rmtree(part)
        write_file(part, "models/b.onnx", b"1")
    with pytest.raises(StorageError, match="was removed"), new_folder(tmp_path / "bundle", "bundle") as part:
        shutil.rmtree(part)
        part.mkdir()
    assert not list(tmp_path.iterdir())

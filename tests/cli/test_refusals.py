"""Bad input: a message that names what is wrong, what to do about it, and exit code 2."""

import pickle
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from segeval.files.set_folder import SetFolder
from segeval.files.storage import sha256_file

Call = Callable[..., Any]


@pytest.fixture
def craft(call: Call, world: Any, tmp_path: Path) -> Call:
    """Craft with these options instead of, or besides, the usual ones; nothing is on stdout, and no traceback."""

    def refused(*arguments: object, model: str = world.model, data: Path = world.data, code: int = 2) -> str:
        usual = ("--out", tmp_path / "out", "--dataset", "folder", "--data-root", data, "--model", model)
        ended = call("craft", *usual, "--steps", "1", *arguments)
        assert (ended.code, ended.out) == (code, ""), ended.err
        assert code != 2 or ("error: " in ended.err and "what to do: " in ended.err and "Traceback" not in ended.err)
        return str(ended.err)

    return refused


def test_unknown_names_are_followed_by_suggestions(craft: Call, call: Call, world: Any, tmp_path: Path) -> None:
    assert "did you mean espnet-synthetic" in craft(model=f"espnet-synthetik={world.weights}")
    assert "did you mean tanh?" in craft("--attack", "tahn")
    assert "did you mean folder?" in craft("--dataset", "foldr")
    assert "presets: default, paper" in craft("--preset", "papr")
    assert "did you mean budget?" in craft("--attack", "fgsm", "--set", "buget=4")
    assert "vehicle-to-road" in craft("--task", "vehicle-to-rod")
    assert "unknown class 'trcuk'" in craft("--task", "car,trcuk:road")
    ended = call("score", "espnet-camvit", "--dataset", "folder")
    assert ended.code == 2 and "did you mean espnet-camvid" in ended.err


@pytest.mark.parametrize(("given", "wrong"), [("fp32,int4", "'int4'"), ("fp16,", "''")])
def test_precisions_that_do_not_exist_are_named_beside_those_that_do(call: Call, given: str, wrong: str) -> None:
    ended = call("deploy", "no-set", "--out", "no-bundle", "--precision", given)
    assert ended.code == 2
    assert f"unknown precision {wrong}" in ended.err
    assert "fp32, fp16, int8, int8-fp16" in ended.err


def test_a_dataset_folder_that_is_missing_or_of_another_kind(craft: Call, tmp_path: Path) -> None:
    assert "nowhere does not exist" in craft(data=tmp_path / "nowhere")
    (tmp_path / "file").touch()
    assert "file is not a folder" in craft(data=tmp_path / "file")
    assert "has no folder images, nor images itself" in craft(data=tmp_path)
    assert "choose one with --split: test, train" in craft("--split", "validation")


def test_images_of_odd_size_name_a_size_that_fits(craft: Call) -> None:
    said = craft("--size", "60x100")
    assert "test-0 is 60x100 (height x width); espnet-synthetic needs multiples of 8" in said
    assert "--size 256x512" in said
    assert "is not HEIGHTxWIDTH" in craft("--size", "60")


@pytest.fixture
def data(world: Any, tmp_path: Path) -> Path:
    """A copy of the dataset, to be damaged."""
    return Path(shutil.copytree(world.data, tmp_path / "data"))


def test_a_truncated_image_in_the_dataset_is_named(craft: Call, data: Path) -> None:
    path = data / "test" / "images" / "test-1.png"
    path.write_bytes(path.read_bytes()[:2000])
    said = craft(data=data)
    assert "test-1.png cannot be read" in said and "truncated" in said


def test_labels_outside_the_class_table_are_named(craft: Call, data: Path) -> None:
    path = data / "test" / "masks" / "test-0.png"
    labels = np.array(Image.open(path))
    labels[3, 4] = 19
    Image.fromarray(labels).save(path)
    assert "test-0.png: label value 19 is not in the class table 'cityscapes'" in craft(data=data)


def test_images_of_different_sizes_get_one_and_that_is_said(call: Call, world: Any, data: Path, tmp_path: Path) -> None:
    path = data / "test" / "images" / "test-2.png"
    Image.open(path).resize((64, 64)).save(path)
    (data / "test" / "masks" / "test-2.png").unlink()
    usual = ("--out", tmp_path / "out", "--dataset", "folder", "--data-root", data, "--model", world.model)
    ended = call("craft", *usual, "--steps", "1", "--attack", "fgsm", "--scope", "local")
    assert ended.code == 0
    assert "all are resized to 64x128, which stretches 1 of 3 out of shape" in ended.err
    assert "espnet-synthetic was made for another size: --size 256x512" in ended.err
    manifest = SetFolder(tmp_path / "out").manifest()
    assert (manifest.height, manifest.width, manifest.config.size) == (64, 128, None)


def test_weights_of_something_else(craft: Call, world: Any, tmp_path: Path) -> None:
    assert "does not fit fast-scnn-synthetic" in craft(model=f"fast-scnn-synthetic={world.weights}")
    assert "no weight file" in craft(model=f"espnet-synthetic={tmp_path / 'none.pth'}")
    assert "give a file" in craft(model="fast-scnn-cityscapes")
    other = tmp_path / "other.safetensors"
    save_file({"layer.weight": torch.zeros(3)}, other)
    said = craft(model=f"espnet-synthetic={other}")
    assert "other.safetensors" in said and "19 outputs" in said
    other.write_bytes(b"not safetensors")
    assert "is not a safetensors file" in craft(model=f"espnet-synthetic={other}")


class Code:
    """Unpickled, it runs a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        import os

        return os.system, (self.command,)


def test_a_pickle_with_code_in_it_is_refused_and_not_run(craft: Call, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    torch.save({"weight": Code(f"touch {ran}")}, tmp_path / "torch.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Code(f"touch {ran}"), protocol=2))
    for name in ("torch.pth", "plain.pth"):
        said = craft(model=f"espnet-synthetic={tmp_path / name}")
        assert f"{name} is refused" in said and "run code" in said
    assert not ran.exists()


def test_a_task_without_a_source_pixel_anywhere(craft: Call) -> None:
    said = craft("--task", "train:road")
    assert "no pixel of 3 images is predicted as a source class" in said and "choose another --task" in said


def test_an_output_folder_that_holds_something_else(craft: Call, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "letter.txt").write_text("dear all")
    assert "out holds files that segeval did not make" in craft()
    assert (out / "letter.txt").read_text() == "dear all"


def test_an_output_folder_of_another_configuration(craft: Call, call: Call, world: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    small = ("--limit", 1, "--scope", "local", "--task", world.task)
    usual = ("--out", out, "--dataset", "folder", "--data-root", world.data, "--model", world.model, "--steps", 1)
    assert call("craft", *usual, *small).code == 0
    before = sha256_file(out / "set.json")
    assert "holds a set that was made with other options (--set, --seed)" in craft(
        *small, "--seed", 1, "--set", "rate=0.5"
    )
    assert "holds a set that was made with other options (--attack)" in craft(*small, "--attack", "pgd")
    assert sha256_file(out / "set.json") == before
    SetFolder(out).write_manifest(replace(SetFolder(out).manifest(), complete=False))
    assert "holds an unfinished set" in craft(*small)


def test_an_output_folder_that_is_a_file(craft: Call, tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    assert str(tmp_path / "out") in craft()


def test_a_device_that_is_not_here(craft: Call) -> None:
    for device in ("cud", "cpu:x", "cuda:99", "meta"):
        said = craft("--device", device)
        assert f"--device {device}: " in said and "segeval doctor" in said


@pytest.mark.parametrize("command", ["deploy", "replay", "evaluate"])
def test_a_folder_that_is_not_what_the_command_takes(call: Call, command: str, tmp_path: Path) -> None:
    inputs = [tmp_path, tmp_path] if command == "evaluate" else [tmp_path]
    ended = call(command, *inputs, "--out", tmp_path / "out")
    assert (ended.code, ended.out) == (2, "")
    assert f"error: {tmp_path} is not a" in ended.err and "make one with segeval" in ended.err
    assert not (tmp_path / "out").exists()


PLUGIN = """
def broken(root=None, split="test", size=None):
    raise RuntimeError("the plug-in's own mistake")


def unreadable(root=None, split="test", size=None):
    open("/nowhere/at/all")


def interrupted(root=None, split="test", size=None):
    raise KeyboardInterrupt
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module with datasets that fail."""
    (tmp_path / "segeval_test_datasets.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    return "segeval_test_datasets"


def test_an_error_that_nobody_expected_is_shown_with_its_origin(craft: Call, plugin: str) -> None:
    said = craft("--dataset", f"{plugin}:broken", code=3)
    assert "Traceback" in said and "the plug-in's own mistake" in said and "segeval_test_datasets.py" in said
    assert "please report it with the lines above" in said


def test_what_the_operating_system_refuses_is_named(craft: Call, plugin: str) -> None:
    assert "cannot use /nowhere/at/all: No such file" in craft("--dataset", f"{plugin}:unreadable")


def test_ctrl_c_is_130(craft: Call, plugin: str) -> None:
    said = craft("--dataset", f"{plugin}:interrupted", code=130)
    assert "interrupted; finished work is saved" in said and "Traceback" not in said


def test_a_package_of_an_extra_that_is_missing(craft: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "segeval_test_extra.py").write_text("def data(**_):\n    import pycuda.driver\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "pycuda", None)
    said = craft("--dataset", "segeval_test_extra:data")
    assert "the package pycuda is not installed" in said and "pip install '.[jetson]'" in said

"""`segeval fit`, and the command that it names next."""

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from segeval.files.patterns import read_pattern
from segeval.files.set_folder import SetFolder


def test_a_pattern_is_fitted_and_scored_on_other_images(call: Callable[..., Any], world: Any, tmp_path: Path) -> None:
    out = tmp_path / "runs/universal"
    given = ("--dataset", "folder", "--data-root", world.data, "--model", world.model, "--task", world.task)
    fit = ("fit", "universal", "--out", out, *given, "--limit", 2, "--steps", 2, "--batch-size", 1, "--size", "32x64")
    ended = call(*fit)
    assert ended.code == 0, ended.err
    record, _ = read_pattern(out)
    assert "2 images of folder (train): 2 updates, 2 gradients" in ended.err
    assert f"success on the 2 images it was fitted on: {record.success:.3f}, without it 0.000" in ended.err
    _, _, following = ended.err.rpartition("next: segeval ")
    ended = call(*shlex.split(following))
    assert ended.code == 0, ended.err
    assert SetFolder(tmp_path / "runs/universal-set").complete_manifest().attacks[0].label == "universal-full"

    ended = call(*shlex.split(following)[:2], tmp_path / "set", *shlex.split(following)[3:], "--split", "train")
    assert (ended.code, (tmp_path / "set/samples.jsonl").exists()) == (2, False)
    assert "pattern 'universal' was fitted on image train-" in ended.err and "score it on another split" in ended.err
    ended = call(*fit)
    assert ended.code == 2 and "is not empty" in ended.err


def test_without_splits_the_next_command_names_images_that_were_not_used(
    call: Callable[..., Any], world: Any, tmp_path: Path
) -> None:
    for name in ("images", "masks"):
        shutil.copytree(next(world.data.glob(f"**/{name}")), tmp_path / "data" / name)
    for file in world.data.glob("classes.*"):
        shutil.copy(file, tmp_path / "data")
    pictures = sorted(path.stem for path in (tmp_path / "data/images").rglob("*.png"))
    given = ("--dataset", "folder", "--data-root", tmp_path / "data", "--model", world.model, "--task", world.task)
    fit = ("fit", "universal", *given, "--steps", 1, "--batch-size", 1)
    ended = call(*fit, "--out", tmp_path / "one", "--limit", 1)
    assert ended.code == 0, ended.err
    used = read_pattern(tmp_path / "one")[0].images
    assert [f"--image {name}" in ended.err for name in pictures] == [name not in used for name in pictures]
    ended = call(*fit, "--out", tmp_path / "all")
    assert ended.code == 0, ended.err
    assert "there are no others here" in ended.err and "next:" not in ended.err

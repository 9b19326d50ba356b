"""Killed without warning and resumed: the same bytes. Many images: the same memory."""

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from segeval.datasets import open_dataset
from segeval.errors import ConfigurationError, DataError, IntegrityError, SegevalError
from segeval.files.encoding import encode
from segeval.files.exclusive import only_writer
from segeval.files.set_folder import SetFolder
from segeval.files.sets import CraftConfig
from segeval.generate.crafting.craft import Crafter

Tree = Callable[..., dict[str, bytes]]
WORKER = Path(__file__).parents[1] / "worker.py"


def outcomes(*orders: dict[str, Any]) -> list[dict[str, int]]:
    """Let the worker carry out the orders, one after the other."""
    command = [sys.executable, str(WORKER), json.dumps(orders)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, int]] = json.loads(done.stdout)
    return found


def crafting(config: CraftConfig, out: Path, **when: int) -> dict[str, Any]:
    return {"craft": json.loads(encode(config)), "out": str(out), **when}


@pytest.mark.long
def test_a_set_that_was_killed_again_and_again_has_the_bytes_of_one_that_was_not(
    world: Any, tree: Tree, tmp_path: Path
) -> None:
    ticks: list[str] = []
    whole = world.craft(tmp_path / "whole", progress=lambda stage, done, total: ticks.append(stage))
    dice, out = random.Random(0), tmp_path / "killed"
    early = ticks.index("clean predictions") + 2
    moments = [{"kill_at_write": 1}, {"kill_at_tick": early}]
    moments += [{"kill_at_tick": dice.randrange(4, 15)} for _ in range(3)]
    moments += [{"kill_at_write": dice.randrange(1, 12)} for _ in range(2)]
    ends = outcomes(*(crafting(world.config, out, **moment) for moment in moments), crafting(world.config, out))
    assert [end["status"] for end in ends] == [-signal.SIGKILL] * len(moments) + [0]
    assert len(ticks) > 40, "the moments above lie all within the run"
    assert tree(SetFolder(out)) == tree(whole)


def test_a_half_written_last_record_is_made_again(world: Any, tree: Tree, tmp_path: Path) -> None:
    options = {"attacks": ("tanh",), "scopes": ("local",)}
    folder = world.craft(tmp_path / "set", **options)
    whole = tree(folder)
    manifest = folder.manifest()
    unfinished = replace(manifest, complete=False, sample_count=0, samples_sha256="", skipped=())
    lines = folder.samples_path.read_bytes().splitlines(keepends=True)
    for kept in (b"".join(lines[:2]) + lines[2][:100], lines[0], lines[0][:-1], b"", b"".join(lines)):
        folder.write_manifest(unfinished)
        folder.samples_path.write_bytes(kept)
        world.craft(folder.root, resume=True, **options)
        assert tree(folder) == whole


def test_a_finished_set_is_neither_made_again_nor_taken_for_another(world: Any, tmp_path: Path) -> None:
    options = {"attacks": ("fgsm",), "scopes": ("local",), "limit": 1}
    folder = world.craft(tmp_path / "set", **options)
    ticks: list[Any] = []
    before = folder.manifest_path.stat().st_mtime_ns
    for resume in (True, False):
        world.craft(folder.root, resume, lambda *step: ticks.append(step), **options)
    assert not ticks
    assert folder.manifest_path.stat().st_mtime_ns == before
    with pytest.raises(ConfigurationError, match=r"other options \(--steps\)") as caught:
        world.craft(folder.root, True, **options, steps=2)
    assert "--out" in caught.value.hint
    with folder.samples_path.open("ab") as file:
        file.write(b"\n")
    with pytest.raises(IntegrityError, match="was changed"):
        world.craft(folder.root, **options)


def test_a_set_in_which_nothing_was_attacked_needs_no_resume(world: Any, tmp_path: Path) -> None:
    def interrupt(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt  # as torchrun does to the leader if another process is refused

    config = replace(world.config, attacks=("fgsm",), scopes=("local",), limit=1)
    with pytest.raises(KeyboardInterrupt):
        Crafter(config, tmp_path).run(False, interrupt)
    assert any((tmp_path / "clean").iterdir())
    assert Crafter(config, tmp_path).run(False, lambda *step: None).complete


def test_an_unfinished_set_asks_to_be_resumed(world: Any, tmp_path: Path) -> None:
    config = replace(world.config, attacks=("fgsm",), scopes=("local",))
    ticks = 0

    def interrupt(stage: str, done: int, total: int) -> None:
        nonlocal ticks
        ticks += stage != "clean predictions"
        if ticks == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Crafter(config, tmp_path).run(False, interrupt)
    assert SetFolder(tmp_path).samples_path.stat().st_size > 0
    with pytest.raises(ConfigurationError, match="unfinished set") as caught:
        Crafter(config, tmp_path).run(False, lambda *step: None)
    assert "--resume" in caught.value.hint
    with pytest.raises(ConfigurationError, match="other options"):
        Crafter(replace(config, seed=1), tmp_path).run(True, lambda *step: None)
    assert Crafter(config, tmp_path).run(True, lambda *step: None).complete


def test_a_set_begun_on_float_images_is_not_continued_in_whole_levels(world: Any, tree: Tree, tmp_path: Path) -> None:
    """As fgsm and tanh were made before; half of a set would be of other images than the other half."""
    options = {"attacks": ("fgsm",), "scopes": ("local",)}
    folder = world.craft(tmp_path / "set", **options)
    whole = folder.manifest()
    on_floats = tuple(replace(spec, dithered=False) for spec in whole.attacks)
    folder.write_manifest(replace(whole, attacks=on_floats, complete=False, sample_count=0, samples_sha256=""))
    first, *_ = folder.samples_path.read_bytes().splitlines(keepends=True)
    folder.samples_path.write_bytes(first)
    before = tree(folder)
    with pytest.raises(ConfigurationError, match=r"same options .* something else \(attacks\).* versions of segeval"):
        world.craft(folder.root, resume=True, **options)
    assert tree(folder) == before


def test_images_that_changed_since_are_refused_and_nothing_is_lost(
    world: Any, make_dataset: Any, tree: Tree, tmp_path: Path
) -> None:
    make_dataset(tmp_path / "data", 3)
    changes = {"attacks": ("fgsm",), "scopes": ("local",), "data_root": str(tmp_path / "data")}
    whole = tree(world.craft(tmp_path / "whole", **changes))
    out = tmp_path / "set"
    assert outcomes(crafting(replace(world.config, **changes), out, kill_at_write=25))[0]["status"] != 0
    before = tree(SetFolder(out))
    assert before["samples.jsonl"] and not SetFolder(out).manifest().complete
    for kind in ("images", "masks"):
        path = tmp_path / f"data/{kind}/1.png"
        kept = path.read_bytes()
        with Image.open(path) as image:
            image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(path)
        with pytest.raises(ConfigurationError, match=r"1.png is not what would be saved now: the images"):
            world.craft(out, resume=True, **changes)
        path.write_bytes(kept)
        assert tree(SetFolder(out)) == before
    assert tree(world.craft(out, resume=True, **changes)) == whole


def test_a_file_of_a_kept_sample_that_was_changed_is_refused_when_the_set_is_resumed(
    world: Any, tmp_path: Path
) -> None:
    options = {"attacks": ("fgsm",), "scopes": ("local",)}
    folder = world.craft(tmp_path / "set", **options)
    folder.write_manifest(replace(folder.manifest(), complete=False, sample_count=0, samples_sha256="", skipped=()))
    lines = folder.samples_path.read_bytes().splitlines(keepends=True)
    folder.samples_path.write_bytes(lines[0])
    (sample,) = folder.samples()
    for name, file in sample.files.items():
        path = folder.root / file.path
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        with pytest.raises(SegevalError):
            world.craft(folder.root, resume=True, **options)
        if name.startswith(("adversarial", "margin")):  # of the others, which can be made again, more is said
            with pytest.raises(IntegrityError, match="is not the file that was recorded"):
                world.craft(folder.root, resume=True, **options)
            path.unlink()
            with pytest.raises(DataError, match="is missing"):
                world.craft(folder.root, resume=True, **options)
        path.write_bytes(data)
    assert folder.samples_path.read_bytes() == lines[0]
    world.craft(folder.root, resume=True, **options)
    assert folder.samples_path.read_bytes() == b"".join(lines)


@pytest.mark.long
def test_two_processes_do_not_write_into_one_set(world: Any, tree: Tree, tmp_path: Path) -> None:
    config = replace(world.config, attacks=("fgsm",), scopes=("local",), limit=1)
    whole = tree(world.craft(tmp_path / "whole", attacks=("fgsm",), scopes=("local",), limit=1))
    out = tmp_path / "set"
    with only_writer(out, "set"):
        (failed,) = outcomes(crafting(config, out))
        assert failed["status"] == 1 and not any(out.iterdir())
        with pytest.raises(ConfigurationError, match="another process is writing into"):
            Crafter(config, out).run(True, lambda *step: None)
    assert outcomes(crafting(config, out))[0]["status"] == 0
    assert tree(SetFolder(out)) == whole


@pytest.mark.long
def test_crafting_64_images_takes_the_memory_of_8(world: Any, make_dataset: Any, tmp_path: Path) -> None:
    make_dataset(tmp_path / "many", 64)
    config = replace(
        world.config, data_root=str(tmp_path / "many"), attacks=("fgsm",), scopes=("full",), steps=1, limit=None
    )
    assert len(open_dataset("folder", tmp_path / "many")) == 64
    few, many = outcomes(crafting(replace(config, limit=8), tmp_path / "few"), crafting(config, tmp_path / "all"))
    assert few["status"] == many["status"] == 0
    assert SetFolder(tmp_path / "all").manifest().sample_count > 50
    assert many["peak_kilobytes"] < 1.02 * few["peak_kilobytes"], "56 more images of 72 kB as floats would show"

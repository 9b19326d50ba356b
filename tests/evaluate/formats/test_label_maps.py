"""Label maps as PNG: classes as the values of the pixels, in the classes' colours, and never outside the folder."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from segeval.classes import CAMVID
from segeval.errors import FormatError
from segeval.evaluate import evaluate
from segeval.evaluate.report.palette import BACKGROUND
from segeval.evaluate.report.renewal import hashes_below
from segeval.files.encoding import encode
from segeval.files.replays import Replay
from segeval.files.set_folder import SetFolder
from segeval.files.storage import sha256_file, write_atomic

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

Build = Callable[..., "World"]
MODEL = "espnet-camvid"


def written(world: "World", out: Path) -> list[str]:
    evaluate(world.set_root, [world.replay_root], out, label_maps=True)
    return sorted(path.relative_to(out / "labels").as_posix() for path in (out / "labels").rglob("*") if path.is_file())


def test_every_label_map_reads_back_as_classes(build: Build, tmp_path: Path) -> None:
    world = build(precisions=("int8",), names=("a", "b+c"))
    names = written(world, tmp_path / "out")
    engine = f"{MODEL}.int8"
    expected = {f"{engine}/adversarial/{sample.id}.png" for sample in world.samples}
    assert names == sorted(expected | {f"{engine}/clean/{name}.png" for name in ("a", "b+c")})
    for (sample, engine), maps in world.maps.items():
        for kind, labels in (
            (f"adversarial/{sample}", maps.engine_adversarial),
            (f"clean/{sample.split('/')[0]}", maps.engine_clean),
        ):
            with Image.open(tmp_path / "out" / "labels" / engine / f"{kind}.png") as image:
                assert image.mode == "P"
                assert np.array_equal(np.array(image), labels)
                painted = np.array(image.convert("RGB"))
            colours = np.array([*CAMVID.palette, BACKGROUND], np.uint8)
            assert np.array_equal(painted, colours[labels])


def test_they_are_written_only_when_asked_for(build: Build, tmp_path: Path) -> None:
    world = build(precisions=("int8",), names=("a",))
    evaluate(world.set_root, [world.replay_root], tmp_path / "out")
    assert not (tmp_path / "out" / "labels").exists()


def test_what_an_unfinished_replay_lacks_is_left_out(build: Build, tmp_path: Path) -> None:
    world = build(precisions=("int8",), done=7)  # clean and four samples of "a", then clean and one of "b"
    names = written(world, tmp_path / "out")
    assert len(names) == 7 and not any("/c/" in name or "/c.png" in name for name in names)


def renamed(world: "World", engine: str) -> None:
    """Call the engine of the replay otherwise."""
    record = Replay.open(world.replay_root).record
    engines = tuple(replace(each, name=engine) for each in record.engines)
    write_atomic(world.replay_root / "replay.json", encode(replace(record, engines=engines)))


@pytest.mark.parametrize("name", ["../../outside", "a/../../../outside", "out\\side", "\0"])
def test_an_engine_whose_name_leads_out_of_the_folder_is_refused(build: Build, tmp_path: Path, name: str) -> None:
    world = build(precisions=("int8",), names=("a",))
    renamed(world, name)
    with pytest.raises(FormatError, match=r"leads out of the folder|holds control characters"):
        written(world, tmp_path / "out")
    assert not list(tmp_path.rglob("outside*")) and not list(tmp_path.rglob("*.html"))


def test_an_absolute_name_stays_in_the_folder(build: Build, tmp_path: Path) -> None:
    world = build(precisions=("int8",), names=("a",))
    renamed(world, str(tmp_path / "elsewhere"))
    assert all(str(tmp_path / "elsewhere")[1:] in name for name in written(world, tmp_path / "out"))
    assert not (tmp_path / "elsewhere").exists()


def test_a_sample_whose_name_leads_out_of_the_folder_is_refused(build: Build, tmp_path: Path) -> None:
    world = build(precisions=("int8",), names=("a",), done=0)
    folder = SetFolder(world.set_root)
    hostile = [replace(sample, id=f"../../../../{sample.id}") for sample in world.samples]
    folder.samples_path.write_bytes(b"".join(encode(sample) + b"\n" for sample in hostile))
    folder.write_manifest(replace(folder.manifest(), samples_sha256=sha256_file(folder.samples_path)))
    results = world.replay_root / f"{MODEL}.int8"
    shutil.rmtree(results)
    complete(world, [sample.id for sample in hostile])
    with pytest.raises(FormatError, match="leads out of the folder"):
        written(world, tmp_path / "out")
    assert not list(tmp_path.rglob("espnet-camvid.png"))


def complete(world: "World", samples: list[str]) -> None:
    """Give the set a replay with label maps of one class for these samples."""
    from segeval_runner.recording import Recording

    record = Replay(world.replay_root, Replay.open(world.replay_root).record).record
    keys = ["clean/a", *(f"adversarial/{sample}" for sample in samples)]
    with Recording(world.replay_root / f"{MODEL}.int8", keys, 1) as recording:
        for key in keys:
            recording.append(key, np.zeros((48, 64), np.uint8), 1.0)
    engines = tuple(replace(each, complete=True, inputs=len(keys)) for each in record.engines)
    renewed = replace(record, engines=engines, set_sha256=sha256_file(world.set_root / "set.json"))
    write_atomic(world.replay_root / "replay.json", encode(renewed))


def test_a_link_in_the_folder_is_not_followed(build: Build, tmp_path: Path) -> None:
    world = build(precisions=("int8",), names=("a",))
    engine = tmp_path / "out" / "labels" / f"{MODEL}.int8"
    written(world, tmp_path / "out")
    engine.rename(tmp_path / "elsewhere")
    engine.symlink_to(tmp_path / "elsewhere")
    before = hashes_below(tmp_path / "elsewhere")
    with pytest.raises(FormatError, match="symbolic link"):
        evaluate(world.set_root, [world.replay_root], tmp_path / "out", seed=1, label_maps=True)
    evaluate(world.set_root, [world.replay_root], tmp_path / "out", seed=1)
    assert hashes_below(tmp_path / "elsewhere") == before

"""Sets and replays that are not evaluated: what is wrong with them is said, and nothing is written."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from segeval.errors import ConfigurationError, DataError, FormatError, IntegrityError, SegevalError
from segeval.evaluate import evaluate
from segeval.evaluate.measure.inputs import run_file
from segeval.files.bundles import BundledFile
from segeval.files.encoding import encode
from segeval.files.images import save_png
from segeval.files.replays import Replay
from segeval.files.set_folder import SetFolder
from segeval.files.storage import sha256_file
from segeval_runner.recording import Recording
from tests.evaluate.test_evaluate import bundle_of
from tests.sealing import reseal

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

Build = Callable[..., "World"]
MODEL = "espnet-camvid"


def refused(world: "World", kind: type[SegevalError], match: str) -> None:
    with pytest.raises(kind, match=match):
        evaluate(world.set_root, [world.replay_root], world.set_root.parent / "out")
    assert not (world.set_root.parent / "out").exists()


def test_refuses_a_replay_of_another_set(build: Build) -> None:
    world = build()
    world.rewrite_replay(set_sha256="0" * 64)
    refused(world, ConfigurationError, "another set")


def test_refuses_a_replay_given_twice(build: Build, tmp_path: Path) -> None:
    world = build()
    with pytest.raises(ConfigurationError, match=f"{world.replay_root} is given twice") as caught:
        evaluate(world.set_root, [world.replay_root, world.replay_root], tmp_path / "out")
    assert caught.value.hint == "name each replay once"


def test_refuses_to_evaluate_nothing(build: Build, tmp_path: Path) -> None:
    world = build()
    with pytest.raises(ConfigurationError, match="no replay"):
        evaluate(world.set_root, [], tmp_path / "out")
    with pytest.raises(DataError, match="not a replay"):
        evaluate(world.set_root, [tmp_path], tmp_path / "out")
    with pytest.raises(DataError, match="not an adversarial set"):
        evaluate(tmp_path, [world.replay_root], tmp_path / "out")


def test_refuses_a_replay_of_other_models(build: Build) -> None:
    world = build()
    engines = tuple(replace(engine, model="another") for engine in Replay.open(world.replay_root).engines)
    world.rewrite_replay(engines=engines)
    refused(world, ConfigurationError, "no engine of espnet-camvid")


def test_refuses_a_replay_in_which_nothing_ran(build: Build) -> None:
    refused(build(done=0), DataError, "no sample of the set was run")


def test_refuses_a_finished_replay_that_lacks_an_input(build: Build) -> None:
    world = build(precisions=("int8",))
    lines = (world.replay_root / f"{MODEL}.int8" / "results.jsonl").read_text()
    assert lines.count('"clean/a"') == 1
    (world.replay_root / f"{MODEL}.int8" / "results.jsonl").write_text(lines.replace('"clean/a"', '"clean/z"'))
    reseal(world.replay_root / f"{MODEL}.int8" / "results.jsonl")
    refused(world, DataError, "clean/a")


def test_refuses_label_maps_of_another_size_or_class_count(build: Build) -> None:
    world = build(precisions=("int8",), names=("a",))
    (engine,) = Replay.open(world.replay_root).engines
    world.rewrite_replay(engines=(replace(engine, classes=13),))
    refused(world, DataError, "13 classes, espnet-camvid has 12")
    keys = list(Replay.open(world.replay_root).results(engine.name).keys)
    shutil.rmtree(world.replay_root / engine.name)
    with Recording(world.replay_root / engine.name, keys, 1) as recording:
        for key in keys:
            recording.append(key, np.zeros((8, 8), np.uint8), 1.0)
    world.rewrite_replay(engines=(replace(engine, height=8, width=8),))
    refused(world, DataError, r"the label map is \(8, 8\), the images are \(48, 64\)")


def recorded_anew(world: "World", samples: list[object]) -> None:
    """Put other samples into the set, and make set and replay agree with that again."""
    folder = SetFolder(world.set_root)
    folder.samples_path.write_bytes(b"".join(encode(sample) + b"\n" for sample in samples))
    folder.write_manifest(replace(folder.manifest(), samples_sha256=sha256_file(folder.samples_path)))
    world.rewrite_replay(set_sha256=sha256_file(folder.manifest_path))


def test_refuses_counts_that_are_not_those_of_the_label_maps(build: Build) -> None:
    world = build()
    first = world.samples[0]
    counts = {MODEL: replace(first.counts[MODEL], hit=first.counts[MODEL].hit + 1)}
    recorded_anew(world, [replace(first, counts=counts), *world.samples[1:]])
    refused(world, IntegrityError, "other counts than samples.jsonl")


def test_refuses_a_set_without_desktop_predictions(build: Build) -> None:
    world = build()
    first = world.samples[0]
    files = {key: file for key, file in first.files.items() if not key.startswith("adversarial_prediction")}
    recorded_anew(world, [replace(first, files=files), *world.samples[1:]])
    refused(world, FormatError, "has no file 'adversarial_prediction:espnet-camvid'")


def test_refuses_ground_truth_outside_the_class_table(build: Build) -> None:
    world = build()
    record = save_png(world.set_root, "strange.png", np.full((48, 64), 40, np.uint8))
    first = world.samples[0]
    recorded_anew(world, [replace(first, files={**first.files, "truth": record}), *world.samples[1:]])
    refused(world, DataError, "labels outside the class table camvid")


def test_refuses_a_changed_label_file(build: Build) -> None:
    world = build()
    save_png(world.set_root, world.samples[0].files["phi"].path, np.full((48, 64), 255, np.uint8))
    refused(world, IntegrityError, "not the file that was recorded")


@pytest.mark.parametrize(
    ("facts", "flagged", "expected"),
    [
        ({"file": "m.onnx"}, True, "0" * 64),
        ({"file": "m.flags.onnx"}, True, "1" * 64),
        ({}, True, ""),
        ({}, False, "0" * 64),
        ({"file": "elsewhere.onnx"}, False, ""),
    ],
)
def test_the_file_that_ran_is_the_one_its_record_tells(
    shared: tuple["World", object], facts: dict[str, object], flagged: bool, expected: str
) -> None:
    """An engine may have two: one with scales, and one that is built by flags."""
    world = shared[0]
    bundle = bundle_of(world)
    files = {**bundle.files, "m.flags.onnx": BundledFile("1" * 64, 1)}
    deployed = replace(bundle.engines[0], flagged_file="m.flags.onnx" if flagged else None)
    record = replace(Replay.open(world.replay_root).engines[0], facts=facts)
    assert run_file(record, deployed, replace(bundle, files=files)) == expected

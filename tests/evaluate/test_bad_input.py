"""Sets and replays that cannot be: every one is refused by an error that names it, with exit code 2 and no traceback.

Hashes are put right after each change, as somebody who changes a set would; what hashes find is in test_evaluate.py.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from segeval.cli import run as command_line
from segeval.errors import ConfigurationError, DataError, FormatError, SegevalError
from segeval.evaluate import evaluate
from segeval.files.encoding import encode
from segeval.files.images import save_png
from segeval.files.replays import Replay
from segeval.files.set_folder import SetFolder
from segeval.files.sets import FileRecord, Norms, Step, TaskRecord
from segeval.files.storage import sha256_file, write_atomic

if TYPE_CHECKING:
    from segeval.files.sets import AdversarialSample
    from tests.evaluate.conftest import World

Build = Callable[..., "World"]
Change = Callable[["AdversarialSample"], "AdversarialSample"]
MODEL = "espnet-camvid"
SMALL: dict[str, Any] = {"names": ("a",), "precisions": ("int8",)}


def refused(world: "World", kind: type[SegevalError], match: str) -> None:
    """Nothing is written, and the error says what to do."""
    out = world.set_root.parent / "out"
    with pytest.raises(kind, match=match) as caught:
        evaluate(world.set_root, [world.replay_root], out)
    assert caught.value.exit_code == 2
    assert not out.exists()


def seal(world: "World", **changes: object) -> None:
    """Change set.json, and make set and replay agree again."""
    folder = SetFolder(world.set_root)
    sealed = replace(folder.manifest(), samples_sha256=sha256_file(folder.samples_path), **changes)  # type: ignore[arg-type]
    folder.write_manifest(sealed)
    record = json.loads((world.replay_root / "replay.json").read_bytes())
    record["set_sha256"] = sha256_file(folder.manifest_path)
    write_atomic(world.replay_root / "replay.json", json.dumps(record).encode())


def change_first(world: "World", change: Change) -> None:
    """Change the first sample, and seal the set."""
    first, *others = world.samples
    lines = [encode(sample) + b"\n" for sample in (change(first), *others)]
    SetFolder(world.set_root).samples_path.write_bytes(b"".join(lines))
    seal(world)


def change_json(path: Path, *place: Any) -> None:
    """Put the last of `place` where the others lead."""
    document = json.loads(path.read_bytes())
    inner = document
    for step in place[:-2]:
        inner = inner[step]
    inner[place[-2]] = place[-1]
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("file", ["clean", "phi", f"prediction:{MODEL}", f"adversarial_prediction:{MODEL}", "truth"])
def test_a_missing_image_is_named(build: Build, file: str) -> None:
    world = build(**SMALL)
    path = world.samples[0].files[file].path
    (world.set_root / path).unlink()
    refused(world, DataError, f"{path} is missing")


def test_an_image_that_is_none_is_named(build: Build) -> None:
    world = build(**SMALL)
    path = world.set_root / world.samples[0].files["phi"].path
    path.write_bytes(b"GIF89a")
    refused(world, DataError, f"{path} cannot be read")


@pytest.mark.parametrize("file", ["phi", "truth", f"prediction:{MODEL}", f"adversarial_prediction:{MODEL}"])
def test_a_map_of_another_size_is_refused(build: Build, file: str) -> None:
    world = build(**SMALL)
    record = save_png(world.set_root, "small.png", np.zeros((8, 8), np.uint8))
    change_first(world, lambda sample: replace(sample, files={**sample.files, file: record}))
    refused(world, DataError, r"small.png: the .*\(8, 8\), the images are \(48, 64\)")


@pytest.mark.parametrize("file", ["clean", "adversarial"])
def test_an_image_of_another_size_is_refused(build: Build, file: str) -> None:
    world = build(**SMALL)
    record = save_png(world.set_root, "small.png", np.zeros((8, 8, 3), np.uint8))
    change_first(world, lambda sample: replace(sample, files={**sample.files, file: record}))
    refused(world, DataError, r"small.png: the image is \(8, 8\), those of the set are \(48, 64\)")


def test_a_prediction_of_a_class_that_the_network_lacks_is_refused(build: Build) -> None:
    world = build(**SMALL)
    record = save_png(world.set_root, "strange.png", np.full((48, 64), 12, np.uint8))
    files: dict[str, FileRecord] = {f"adversarial_prediction:{MODEL}": record}
    change_first(world, lambda sample: replace(sample, files={**sample.files, **files}))
    refused(world, DataError, "strange.png: label 12 in a map of 12 classes")


def without(sample: "AdversarialSample", *keys: str) -> "AdversarialSample":
    return replace(sample, files={key: file for key, file in sample.files.items() if key not in keys})


NORMS = Norms(1.0, 1.0, 10.0, 2)
STRANGE: dict[str, tuple[Change, str]] = {
    "image": (lambda s: replace(s, image="z"), "the image 'z' is not in set.json"),
    "task": (lambda s: replace(s, task="z"), "the task 'z' is not in set.json"),
    "attack": (lambda s: replace(s, attack="z"), "the attack 'z' is not in set.json"),
    "victim": (lambda s: replace(s, victims=(MODEL, "z")), "the victim 'z' is not in set.json"),
    "no phi": (lambda s: without(s, "phi"), "it has no file 'phi'"),
    "no image": (lambda s: without(s, "adversarial"), "it has no file 'adversarial'"),
    "negative mean": (lambda s: replace(s, norms=replace(NORMS, mean=-1.0)), "a mean change is outside 0–255"),
    "huge mean": (lambda s: replace(s, norms=replace(NORMS, mean_phi=1e308)), "a mean change is outside 0–255"),
    "huge linf": (lambda s: replace(s, norms=replace(NORMS, linf=256)), "linf 256, l2 10"),
    "huge l2": (lambda s: replace(s, norms=replace(NORMS, l2=1e300)), r"linf 2, l2 1e\+300"),
    "huge step": (lambda s: replace(s, curve=(Step(1e308, 1.0, s.counts),)), "a mean change is outside 0–255"),
    "models of steps": (lambda s: replace(s, curve=(*s.curve, Step(1.0, 1.0, {}))), "not about the same models"),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_a_sample_that_contradicts_its_set_is_named(build: Build, kind: str) -> None:
    world = build(**SMALL)
    change, message = STRANGE[kind]
    change_first(world, change)
    refused(world, FormatError, rf"samples.jsonl:1: .*{message}")


@pytest.mark.parametrize(
    ("number", "message"),
    [
        ("NaN", "invalid character"),
        ("1e999", "Number out of range"),
        ('"1"', "Expected `float`"),
        ("null", "Expected `float`"),
    ],
)
def test_what_is_no_number_is_named_with_its_line(build: Build, number: str, message: str) -> None:
    world = build(**SMALL)
    path = SetFolder(world.set_root).samples_path
    text = path.read_text()
    wanted = f'"mean":{world.samples[1].norms.mean}'
    assert wanted in text
    first, rest = text.split("\n", 1)
    path.write_text(first + "\n" + rest.replace(wanted, f'"mean":{number}', 1))
    seal(world)
    refused(world, FormatError, rf"samples.jsonl:2: .*({message})")


def test_an_empty_selection_is_said(build: Build) -> None:
    world = build(**SMALL)
    SetFolder(world.set_root).samples_path.write_bytes(b"")
    seal(world, sample_count=0)
    refused(world, DataError, "has no samples")


def test_fewer_samples_than_the_manifest_says_are_missed(build: Build) -> None:
    world = build(**SMALL)
    seal(world, sample_count=len(world.samples) + 1)
    refused(world, FormatError, f"has {len(world.samples)} samples, set.json says {len(world.samples) + 1}")


def test_a_sample_that_comes_twice_is_named(build: Build) -> None:
    """Under its id, or under another one: its pixels would count twice."""
    world = build(**SMALL)
    for strange, message in (
        (replace(world.samples[1], id=world.samples[0].id), "samples.jsonl:2: an earlier sample has the same id"),
        (replace(world.samples[0], id="other"), "samples.jsonl:2: an earlier .* same image, task, attack and victims"),
    ):
        lines = [encode(sample) + b"\n" for sample in (world.samples[0], strange, *world.samples[2:])]
        SetFolder(world.set_root).samples_path.write_bytes(b"".join(lines))
        seal(world)
        refused(world, FormatError, message)


def test_a_replay_that_does_not_tell_which_engine_ships_is_refused(build: Build) -> None:
    """It is its bundle.json that knows the calibrations."""
    world = build(names=("a",), precisions=("fp16", "int8"))
    path = world.replay_root / "replay.json"
    evaluate(world.set_root, [world.replay_root], world.set_root.parent / "before")
    change_json(path, "engines", 0, "precision", "int8")
    refused(world, ConfigurationError, f"no bundle.json to tell which of {MODEL}.fp16 and {MODEL}.int8 ships")


def test_an_unfinished_set_is_said(build: Build) -> None:
    world = build(**SMALL)
    seal(world, complete=False)
    refused(world, DataError, r"is an unfinished adversarial set with \d+ adversarial image")


@pytest.mark.parametrize("task", [TaskRecord("vehicle-to-road", (8,), 300), TaskRecord("vehicle-to-road", (-1,), 3)])
def test_a_task_with_a_class_that_is_none_is_refused(build: Build, task: TaskRecord) -> None:
    world = build(**SMALL, tasks=("vehicle-to-road",))
    seal(world, tasks=(task,))
    refused(world, FormatError, r"set.json: the task 'vehicle-to-road' names a class that the table camvid does not")


@pytest.mark.parametrize("what", ["models", "attacks", "tasks", "images"])
def test_two_entries_of_one_name_are_refused(build: Build, what: str) -> None:
    world = build(**SMALL)
    entries = getattr(SetFolder(world.set_root).manifest(), what)
    seal(world, **{what: (*entries, entries[0])})
    refused(world, FormatError, f"two {what} have the same name")


@pytest.mark.parametrize("name", ["segeval.set/3", "segeval.replay/2"])
def test_files_of_a_newer_version_are_refused(build: Build, name: str) -> None:
    """Both ways of mixing versions: an older set with a newer replay, and the reverse."""
    world = build(**SMALL)
    path = world.set_root / "set.json" if name.startswith("segeval.set") else world.replay_root / "replay.json"
    change_json(path, "schema", name)
    refused(world, FormatError, "made by a newer segeval")


def test_a_file_of_another_kind_is_refused(build: Build) -> None:
    world = build(**SMALL)
    change_json(world.replay_root / "replay.json", "schema", "segeval.bundle/1")
    refused(world, FormatError, r"Invalid enum value 'segeval.bundle/1' - at `\$.schema`")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (("engines", 0, "height", 1 << 20), r"Expected `int` <= 65536 - at `\$.engines\[0\].height`"),
        (("engines", 0, "classes", 256), "Expected `int` <= 255"),
        (("engines", 0, "load_ms", -1.0), "Expected `float` >= 0.0"),
        (("engines", 0, "load_ms", 1e300), "Expected `float` <= "),
        (("engines", 0, "load_ms", float("nan")), "replay.json: "),
        (("engines", 0, "inputs", 10**30), "replay.json: "),
        (("engines", 0, "precision", "int4"), "Invalid enum value 'int4'"),
        (("engines", 0, "folder", "../elsewhere"), "leads out of the folder"),
    ],
)
def test_numbers_of_a_replay_that_cannot_be_are_refused(build: Build, place: tuple[Any, ...], message: str) -> None:
    world = build(**SMALL)
    change_json(world.replay_root / "replay.json", *place)
    refused(world, FormatError, message)


def test_a_latency_that_cannot_be_is_refused(build: Build) -> None:
    """Else their mean would be infinite, which JSON does not have."""
    world = build(**SMALL)
    path = world.replay_root / f"{MODEL}.int8" / "results.jsonl"
    lines = [{**json.loads(line), "latency_ms": 1e308} for line in path.read_bytes().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    refused(world, FormatError, r"results.jsonl:1: Expected `float` <= .* at `\$.latency_ms`")


def test_partial_replays_are_evaluated_side_by_side_with_whole_ones(build: Build, tmp_path: Path) -> None:
    world = build(precisions=("int8",))
    shutil.copytree(world.replay_root, tmp_path / "partial")
    results = tmp_path / "partial" / f"{MODEL}.int8" / "results.jsonl"
    results.write_bytes(b"".join(results.read_bytes().splitlines(keepends=True)[:7]))
    change_json(tmp_path / "partial" / "replay.json", "engines", 0, "complete", False)
    report = evaluate(world.set_root, [world.replay_root, tmp_path / "partial"], tmp_path / "out")
    (note,) = [note for note in report.notes if note.startswith("Partial")]
    assert f"{MODEL}.int8@partial is not finished" in note and "@replay" not in note
    whole, part = (
        [row for row in report.survival if row.engine == f"{MODEL}.int8@{name}" and row.task is not None]
        for name in ("replay", "partial")
    )
    assert sum(row.missing for row in whole) == 0 and sum(row.missing for row in part) == 12 - 5
    assert "Partial: " in (tmp_path / "out" / "report.html").read_text()


def test_the_command_line_says_it_with_exit_code_2(build: Build, capfd: pytest.CaptureFixture[str]) -> None:
    world = build(**SMALL)
    other = world.set_root.parent / "other"
    shutil.copytree(world.replay_root, other)
    change_json(other / "replay.json", "set_sha256", "0" * 64)
    out = world.set_root.parent / "out"
    assert command_line(["evaluate", str(world.set_root), str(other), "--out", str(out), "--quiet"]) == 2
    error = capfd.readouterr().err
    assert "is a replay of another set" in error and "Traceback" not in error
    assert not out.exists()


def test_a_replay_of_another_set_says_which_is_meant(build: Build) -> None:
    world = build(**SMALL)
    change_json(world.replay_root / "replay.json", "set_sha256", "0" * 64)
    refused(world, ConfigurationError, "is a replay of another set than")
    assert Replay.open(world.replay_root).record.set_sha256 == "0" * 64

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from segeval.files.bundles import BundleFolder
from segeval.files.replays import Replay
from segeval.files.shards import joined
from segeval_runner.digests import sealed
from tests.interrupting import expected, started
from tests.sealing import reseal, write_sealed

MakeBundle = Callable[..., Path]
Runner = Callable[..., list[str]]
MANY = 400


def run(command: list[str], code: int = 0) -> str:
    """Run to the end and return stderr."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stderr
    return ended.stderr


def test_every_input_of_every_engine_gets_its_label_map(
    make_bundle: MakeBundle, runner: Runner, tmp_path: Path
) -> None:
    bundle, out = make_bundle(7), tmp_path / "out"
    said = run(runner(bundle, "replay", "--out", out, "--warmup", 2, "--threads", 1))
    replay = Replay.open(out)
    assert replay.complete
    assert replay.record.bundle_sha256 == BundleFolder(bundle).sha256()
    assert replay.record.set_sha256 == "a" * 64
    numbers = {"single": range(7), "batched": (0, 1, 4, 5, 6)}
    for engine in replay.engines:
        keys = [f"clean/{number}" for number in numbers[engine.name]]
        assert list(replay.results(engine.name).keys) == keys
        assert (engine.inputs, engine.warmup, engine.backend) == (len(keys), 2, "onnxruntime")
        for number, key in zip(numbers[engine.name], keys, strict=True):
            assert np.array_equal(replay.labels(engine.name, key), expected(number))
        assert all(latency > 0 for latency in replay.latencies(engine.name).values())
    assert replay.record.environment.threads == 1
    assert "single: 7/7 (100 %)" in said


def test_one_engine_can_be_run_alone_and_the_other_later(
    make_bundle: MakeBundle, runner: Runner, tmp_path: Path
) -> None:
    bundle, out = make_bundle(), tmp_path / "out"
    run(runner(bundle, "replay", "--out", out, "--engine", "batched"))
    assert [engine.name for engine in Replay.open(out).engines] == ["batched"]
    before = (out / "batched" / "results.jsonl").read_bytes()
    run(runner(bundle, "replay", "--out", out))
    assert {engine.name for engine in Replay.open(out).engines} == {"batched", "single"}
    assert (out / "batched" / "results.jsonl").read_bytes() == before, "what is complete is not run again"


def test_killed_in_the_middle_and_run_again_gives_the_same_label_maps(
    make_bundle: MakeBundle, runner: Runner, tmp_path: Path
) -> None:
    bundle, out = make_bundle(MANY), tmp_path / "out"
    command = runner(bundle, "replay", "--out", out, "--threads", 1)
    run(runner(bundle, "replay", "--out", tmp_path / "whole", "--threads", 1))
    for results in (5, 60):
        with started(command, out, results) as process:
            process.kill()
    interrupted = Replay.open(out)
    assert not interrupted.complete
    kept = (out / "single" / "labels.bin").read_bytes()
    assert 60 <= len(interrupted.results("single").keys) < MANY
    assert np.array_equal(interrupted.labels("single", "clean/3"), expected(3))
    run(command)
    for engine in ("single", "batched"):
        whole = (tmp_path / "whole" / engine / "labels.bin").read_bytes()
        assert (out / engine / "labels.bin").read_bytes() == whole
    assert (out / "single" / "labels.bin").read_bytes().startswith(kept[:1000])
    assert Replay.open(out).complete


def test_ctrl_c_ends_it_with_130_and_keeps_what_is_done(
    make_bundle: MakeBundle, runner: Runner, tmp_path: Path
) -> None:
    bundle, out = make_bundle(MANY), tmp_path / "out"
    with started(runner(bundle, "replay", "--out", out), out, 20) as process:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    assert len(Replay.open(out).results("single").keys) >= 20


def test_results_that_were_half_written_are_done_again(make_bundle: MakeBundle, runner: Runner, tmp_path: Path) -> None:
    """As after a power cut: a torn last line, or label maps that never reached the disk."""
    bundle, out = make_bundle(), tmp_path / "out"
    command = runner(bundle, "replay", "--out", out)
    run(command)
    labels, results = out / "single" / "labels.bin", out / "single" / "results.jsonl"
    whole, lines = labels.read_bytes(), results.read_bytes()

    def incomplete() -> None:
        record = json.loads((out / "replay.json").read_text())
        for engine in record["engines"]:
            engine["complete"] = False
        write_sealed(out / "replay.json", record)

    damages: list[tuple[bytes, bytes]] = [
        (whole, lines[:-20]),
        (whole[:-100], lines),
        (whole[:-100] + bytes(100), lines),
        (whole + b"torn", lines),
        (whole, lines.replace(b'"clean/3"', b'"clean/9"')),
        (whole, lines.replace(b'"latency_ms": ', b'"latency_ms": 7', 1)),
        (b"", b"not json\n"),
    ]
    for damaged_labels, damaged_lines in damages:
        incomplete()
        labels.write_bytes(damaged_labels)
        results.write_bytes(damaged_lines)
        run(command)
        assert labels.read_bytes() == whole
        assert Replay.open(out).complete


def test_batches_stay_the_same_when_a_run_is_resumed(make_bundle: MakeBundle, runner: Runner, tmp_path: Path) -> None:
    """An odd number of results in batches of two: the last one is run again together with its neighbour."""
    bundle, out = make_bundle(), tmp_path / "out"
    command = runner(bundle, "replay", "--out", out, "--engine", "batched")
    run(command)
    record = json.loads((out / "replay.json").read_text())
    record["engines"][0]["complete"] = False
    write_sealed(out / "replay.json", record)
    results = out / "batched" / "results.jsonl"
    lines = results.read_bytes().splitlines(keepends=True)
    marked = [line.replace(b'"latency_ms": ', b'"latency_ms": 9') for line in lines[:3]]
    results.write_bytes(b"".join(marked))
    reseal(results)
    marked = results.read_bytes().splitlines(keepends=True)
    run(command)
    again = results.read_bytes().splitlines(keepends=True)
    assert again[:2] == marked[:2]
    assert again[2] != marked[2]


def test_a_folder_of_another_bundle_or_of_something_else_is_refused(
    make_bundle: MakeBundle, runner: Runner, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(runner(make_bundle(5), "replay", "--out", out))
    said = run(runner(make_bundle(6, "other"), "replay", "--out", out), code=2)
    assert "is the replay of another bundle" in said
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("precious")
    said = run(runner(tmp_path / "other", "replay", "--out", tmp_path / "mine"), code=2)
    assert "mine holds files that segeval did not make" in said


def test_a_replay_begun_with_another_engine_version_is_not_continued(
    make_bundle: MakeBundle, runner: Runner, tmp_path: Path
) -> None:
    bundle, out = make_bundle(), tmp_path / "out"
    run(runner(bundle, "replay", "--out", out))
    record = (out / "replay.json").read_text()
    version = Replay.open(out).engines[0].backend_version
    (out / "replay.json").write_text(record.replace(f'"backend_version": "{version}"', '"backend_version": "0.1"'))
    reseal(out / "replay.json")
    assert "was begun with backend_version '0.1'" in run(runner(bundle, "replay", "--out", out), code=2)


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("threads", 64, "threads 64; this run has threads 1"),
        ("cpu", "abacus", "cpu 'abacus'"),
        ("machine", "vax", "machine 'vax'"),
    ],
)
@pytest.mark.parametrize("complete", [False, True])
def test_latencies_of_two_machines_or_thread_counts_are_not_mixed(
    make_bundle: MakeBundle, runner: Runner, tmp_path: Path, part: str, value: object, said: str, complete: bool
) -> None:
    """Neither in an engine that is continued nor between two engines of a replay."""
    bundle, out = make_bundle(), tmp_path / "out"
    run(runner(bundle, "replay", "--out", out, "--threads", 1, "--engine", "batched"))
    record = json.loads((out / "replay.json").read_text())
    record["environment"][part] = value
    record["engines"][0]["complete"] = complete
    write_sealed(out / "replay.json", record)
    refusal = run(runner(bundle, "replay", "--out", out, "--threads", 1), code=2)
    assert f"was begun with {said}" in refusal
    assert "--out" in refusal and ("--threads" in refusal) == (part == "threads")
    assert json.loads((out / "replay.json").read_text()) == sealed(record)
    assert not (out / "single").exists()


def test_labels_outside_the_classes_end_the_replay(make_bundle: MakeBundle, runner: Runner, tmp_path: Path) -> None:
    said = run(runner(make_bundle(offset=1), "replay", "--out", tmp_path / "high"), code=2)
    assert "single gave labels from 1 to 3; it has 3 classes" in said
    said = run(runner(make_bundle(name="low", offset=-1), "replay", "--out", tmp_path / "low-out"), code=2)
    assert "single gave labels from -1 to 1" in said


def test_progress_is_plain_lines_and_survives_a_stderr_that_nobody_reads(
    make_bundle: MakeBundle, runner: Runner, tmp_path: Path
) -> None:
    bundle = make_bundle()
    said = run(runner(bundle, "replay", "--out", tmp_path / "out"))
    assert "\r" not in said
    assert "\x1b" not in said
    read, write = os.pipe()
    os.close(read)
    command = runner(bundle, "replay", "--out", tmp_path / "unread")
    ended = subprocess.run(command, stderr=write, stdout=subprocess.DEVNULL, check=False)
    os.close(write)
    assert ended.returncode == 0
    assert Replay.open(tmp_path / "unread").complete


def test_json_progress_is_for_programs(make_bundle: MakeBundle, runner: Runner, tmp_path: Path) -> None:
    said = run(runner(make_bundle(), "replay", "--out", tmp_path / "out", "--progress", "json"))
    events = [json.loads(line) for line in said.splitlines()]
    assert {"stage": "single", "done": 7, "total": 7} in events
    said = run(runner(tmp_path / "bundle", "replay", "--out", tmp_path, "--progress", "json"), code=2)
    assert json.loads(said.splitlines()[-1])["error"].endswith("holds files that segeval did not make")


def test_the_other_commands(make_bundle: MakeBundle, runner: Runner) -> None:
    bundle = make_bundle()
    ended = subprocess.run(runner(bundle, "verify"), capture_output=True, text=True, check=True)
    assert "6 files are as they were written" in ended.stdout
    ended = subprocess.run(runner(bundle, "doctor"), capture_output=True, text=True, check=True)
    assert f"python: {sys.version.split()[0]}" in ended.stdout
    assert "backend onnxruntime: " in ended.stdout
    run(runner(bundle, "replay"), code=2)
    run(runner(bundle), code=2)


def test_without_an_engine_the_runner_says_what_to_install(make_bundle: MakeBundle, tmp_path: Path) -> None:
    """-S hides the installed packages; numpy alone is put back."""
    bundle = make_bundle()
    (tmp_path / "only").mkdir()
    site = Path(np.__file__).parent
    (tmp_path / "only" / "numpy").symlink_to(site)
    libraries = site.parent / "numpy.libs"
    if libraries.exists():
        (tmp_path / "only" / "numpy.libs").symlink_to(libraries)
    command = [sys.executable, "-S", str(bundle / "runner.pyz"), "replay", "--out", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "only")}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "ONNX Runtime cannot be used" in ended.stderr
    assert "pip install onnxruntime" in ended.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [["--warmup", "-1"], ["--threads", "x"], ["--backend", "cuda"]])
def test_senseless_options_are_refused(
    arguments: list[str], make_bundle: MakeBundle, runner: Runner, tmp_path: Path
) -> None:
    run(runner(make_bundle(), "replay", "--out", tmp_path / "out", *arguments), code=2)
    assert not (tmp_path / "out").exists()


def test_shards_run_every_input_once(make_bundle: MakeBundle, runner: Runner, tmp_path: Path) -> None:
    bundle = make_bundle(7)
    for number in (1, 2):
        run(runner(bundle, "replay", "--out", tmp_path / str(number), "--shard", f"{number}/2", "--threads", 1))
    first, second = (Replay.open(tmp_path / str(number)) for number in (1, 2))
    assert (first.complete, first.record.shard, second.record.shard) == (True, "1/2", "2/2")
    assert list(first.results("single").keys) == [f"clean/{number}" for number in (0, 2, 4, 6)]
    assert list(second.results("batched").keys) == ["clean/1", "clean/5"]
    assert np.array_equal(second.labels("batched", "clean/5"), expected(5))
    (whole,) = joined([second, first])
    assert whole.complete and len(whole.results("single").keys) == 7
    assert np.array_equal(whole.labels("single", "clean/6"), expected(6))
    said = run(runner(bundle, "replay", "--out", tmp_path / "1", "--threads", 1), 2)
    assert "was begun with shard 1/2, this run is for all inputs" in said
    assert "'3/2' is not a shard" in run(runner(bundle, "replay", "--out", tmp_path / "3", "--shard", "3/2"), 2)

"""One writer at a time in a folder of results, and what two of them left behind before that was so."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segeval.errors import FormatError
from segeval.files.benches import open_bench
from segeval.files.replays import Replay
from segeval_runner.errors import OutputError
from segeval_runner.exclusive import only_writer
from segeval_runner.recording import Recording
from tests.interrupting import MANY, WORK, assert_undisturbed, expected, held, started

MakeBundle = Callable[..., Path]
Runner = Callable[..., list[str]]


def run(command: list[str], code: int = 0) -> str:
    """Run to the end and return stderr."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stderr
    return ended.stderr


def test_a_second_replay_into_a_folder_is_refused_and_changes_nothing(
    make_bundle: MakeBundle, runner: Runner, tmp_path: Path
) -> None:
    bundle, out = make_bundle(MANY, work=WORK), tmp_path / "out"
    command = runner(bundle, "replay", "--out", out, "--threads", 1)
    with started(command, out, 5) as first:
        os.kill(first.pid, signal.SIGSTOP)
        before = held(out)
        said = run(command, code=2)
        assert held(out) == before
        os.kill(first.pid, signal.SIGCONT)
        first.communicate()
    assert f"error: another process is writing into {out}" in said and "--out" in said
    assert first.returncode == 0
    assert_undisturbed(out, MANY)


@pytest.mark.long
def test_a_second_benchmark_into_a_folder_is_refused(make_bundle: MakeBundle, runner: Runner, tmp_path: Path) -> None:
    bundle, out = make_bundle(), tmp_path / "out"
    short = ["--warmup", 1, "--warmup-seconds", 0, "--seconds", 0.01, "--calls", 3, "--images", 3, "--idle-seconds", 0]
    command = runner(bundle, "bench", "--out", out, "--threads", 1, *short)
    with only_writer(out, "bench"):
        said = run(command, code=2)
        assert not list(out.iterdir())
    assert f"error: another process is writing into {out}" in said
    run(command)
    assert len(open_bench(out).runs) == 4


def test_the_lock_leaves_no_file_and_ends_with_its_process(
    make_bundle: MakeBundle, runner: Runner, tmp_path: Path
) -> None:
    bundle, out = make_bundle(MANY, work=WORK), tmp_path / "out"
    command = runner(bundle, "replay", "--out", out, "--threads", 1)
    with started(command, out, 5) as first:
        first.kill()
    assert not Replay.open(out).complete
    run(command)
    assert_undisturbed(out, MANY)
    assert {path.name for path in out.iterdir()} == {"bundle.json", "replay.json", "single", "batched"}


def broken_by_two_writers(out: Path, count: int) -> None:
    """What two runners of an earlier version made of one folder: each appends what it computed, and says it is done."""
    keys = [f"clean/{number}" for number in range(count)]
    with Recording(out / "single", keys, 1) as one, Recording(out / "single", keys, 1) as other:
        for recording in (one, other):
            recording.cut()
        one.append(keys[0], expected(0), 1.0)
        one.append(keys[1], expected(1), 1.0)
        for number in range(2, count):
            other.append(keys[number - 2], expected(number - 2), 1.0)
            one.append(keys[number], expected(number), 1.0)
    record: dict[str, Any] = json.loads((out / "replay.json").read_text())
    assert record["engines"][0]["complete"]


def broken_replay(make_bundle: MakeBundle, runner: Runner, tmp_path: Path) -> tuple[list[str], Path]:
    """A replay of 9 inputs that two writers broke, and the command that made it."""
    out = tmp_path / "out"
    command = runner(make_bundle(9), "replay", "--out", out, "--threads", 1)
    run(command)
    for name in ("results.jsonl", "labels.bin"):
        (out / "single" / name).unlink()
    broken_by_two_writers(out, 9)
    return command, out


def test_a_folder_that_two_writers_broke_can_be_continued(
    make_bundle: MakeBundle, runner: Runner, tmp_path: Path
) -> None:
    command, out = broken_replay(make_bundle, runner, tmp_path)
    with pytest.raises(FormatError, match="occurs twice"):
        Replay.open(out).results("single")
    said = run(command)
    assert "single: 2/9" in said, "what was whole is kept"
    assert_undisturbed(out, 9)


def test_what_follows_the_last_result_is_dropped_and_the_rest_is_left_alone(
    make_bundle: MakeBundle, runner: Runner, tmp_path: Path
) -> None:
    """As where the second of two writers wrote after the first had ended."""
    bundle, out = make_bundle(), tmp_path / "out"
    command = runner(bundle, "replay", "--out", out, "--threads", 1)
    run(command)
    before = held(out)
    for name in ("results.jsonl", "labels.bin"):
        with (out / "single" / name).open("ab") as file:
            file.write(before[f"single/{name}"][:500])
    run(command)
    assert held(out) == before


def test_nothing_is_dropped_from_a_replay_that_is_still_called_complete(
    make_bundle: MakeBundle, runner: Runner, tmp_path: Path
) -> None:
    """The record comes first; here it cannot be written, since a folder is in the way of its temporary file."""
    command, out = broken_replay(make_bundle, runner, tmp_path)
    before = held(out)
    (out / "replay.json.part").mkdir()
    assert "cannot write" in run(command, code=2)
    assert held(out) == before
    (out / "replay.json.part").rmdir()
    run(command)
    assert_undisturbed(out, 9)


def test_a_writer_that_no_lock_keeps_out_is_noticed(tmp_path: Path) -> None:
    """As on a file system that cannot lock."""
    keys = ["clean/0", "clean/1"]
    with Recording(tmp_path, keys, 1) as one, Recording(tmp_path, keys, 1) as other:
        for recording in (one, other):
            recording.cut()
        one.append(keys[0], expected(0), 1.0)
        one.require_whole()
        other.append(keys[0], expected(0), 1.0)
        with pytest.raises(OutputError, match="another process wrote into"):
            one.require_whole()

"""`segeval replay` and `segeval bench` start the runner in a process of its own, which does not outlive them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from segeval.deploy.run_runner import INTERRUPTED, watch
from segeval.files.benches import open_bench
from segeval.files.replays import Replay
from tests.interrupting import MANY, WORK, assert_undisturbed, await_end, await_results, held, runners

MakeBundle = Callable[..., Path]
Runner = Callable[..., list[str]]


def segeval(*words: object) -> list[str]:
    """The command line of the desktop."""
    return [sys.executable, "-m", "segeval", *map(str, words)]


@pytest.mark.parametrize(
    "number",
    [pytest.param(signal.SIGKILL, id="SIGKILL"), pytest.param(signal.SIGTERM, id="SIGTERM", marks=pytest.mark.long)],
)
def test_a_replay_whose_parent_is_killed_ends_and_can_be_continued(
    make_bundle: MakeBundle, tmp_path: Path, number: signal.Signals
) -> None:
    """As by `timeout`, by the system when memory runs out, or with a build that is cancelled."""
    bundle, out = make_bundle(MANY, work=WORK), tmp_path / "out"
    command = segeval("replay", bundle, "--out", out, "--threads", 1, "--quiet")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        await_results(process, out, 5)
        process.send_signal(number)
        process.communicate()
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert_undisturbed(out, MANY)


def test_a_runner_whose_parent_is_killed_does_not_go_on(make_bundle: MakeBundle, tmp_path: Path) -> None:
    bundle, out = make_bundle(MANY, work=WORK), tmp_path / "out"
    command = segeval("replay", bundle, "--out", out, "--threads", 1, "--quiet")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        await_results(process, out, 5)
        process.kill()
    await_end(out)
    assert not Replay.open(out).complete


@pytest.mark.long
def test_a_benchmark_whose_parent_is_killed_ends_and_can_be_continued(make_bundle: MakeBundle, tmp_path: Path) -> None:
    out = tmp_path / "out"
    short = ["--seconds", 0.01, "--warmup", 1, "--warmup-seconds", 0, "--calls", 3, "--images", 3]
    command = segeval("bench", make_bundle(), "--out", out, "--quiet", "--idle-seconds", 2, *short)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not (out / "bench.json").exists():
            assert process.poll() is None, "it ended before it could be met"
            time.sleep(0.002)
        process.kill()
    await_end(out)
    done = open_bench(out).runs
    assert 0 < len(done) < 4
    subprocess.run(command, check=True, capture_output=True)
    whole = open_bench(out).runs
    assert len(whole) == 4 and whole[: len(done)] == done


@pytest.mark.long
def test_of_two_replays_into_one_folder_the_second_is_refused(make_bundle: MakeBundle, tmp_path: Path) -> None:
    bundle, out = make_bundle(MANY, work=WORK), tmp_path / "out"
    command = segeval("replay", bundle, "--out", out, "--threads", 1, "--quiet")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        await_results(process, out, 5)
        (runner,) = runners(out)
        os.kill(runner, signal.SIGSTOP)
        before = held(out)
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        after = held(out)
        os.kill(runner, signal.SIGCONT)
        process.communicate()
    assert after == before
    assert second.returncode == 2
    assert f"error: another process is writing into {out}" in second.stderr and "--out" in second.stderr
    assert process.returncode == 0
    assert_undisturbed(out, MANY)


class StopError(Exception):
    """What goes wrong on the desktop."""


@pytest.mark.parametrize("kind", [StopError, SystemExit])
def test_whatever_ends_the_desktops_part_ends_the_runner(
    make_bundle: MakeBundle, runner: Runner, tmp_path: Path, kind: type[BaseException]
) -> None:
    bundle, out = make_bundle(MANY, work=WORK), tmp_path / "out"
    command = runner(bundle, "replay", "--out", out, "--threads", 1, "--progress", "json", "--end-with-stdin")

    def fail(stage: str, done: int, total: int) -> None:
        if stage == "single" and done > 0:
            raise kind

    with pytest.raises(kind):
        watch(command, fail)
    assert not runners(out)
    assert not Replay.open(out).complete
    subprocess.run(runner(bundle, "replay", "--out", out, "--threads", 1), check=True, capture_output=True)
    assert_undisturbed(out, MANY)


def test_ctrl_c_lets_the_runner_end_by_itself(make_bundle: MakeBundle, runner: Runner, tmp_path: Path) -> None:
    """However often it comes, and without one for the runner, as from a handler of SIGTERM."""
    bundle, out = make_bundle(MANY, work=WORK), tmp_path / "out"
    command = runner(bundle, "replay", "--out", out, "--threads", 1, "--progress", "json", "--end-with-stdin")

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "single" and done > 0:
            raise KeyboardInterrupt

    ended, code, _ = watch(command, interrupt)
    assert code == INTERRUPTED
    assert ended is not None and ended.error == "interrupted"
    assert not runners(out)
    assert not Replay.open(out).complete

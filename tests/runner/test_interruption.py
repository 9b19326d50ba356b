"""What ends a run early takes the way of Ctrl-C: signals, and the end of whoever started it."""

import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from segeval.files.replays import Replay
from segeval_runner import interruption
from tests.interrupting import MANY, WORK, assert_undisturbed, started

MakeBundle = Callable[..., Path]
Runner = Callable[..., list[str]]
ENDING = [signal.SIGTERM, signal.SIGHUP, signal.SIGINT]


@pytest.mark.parametrize("number", ENDING, ids=lambda number: number.name)
def test_a_signal_ends_a_replay_that_can_be_continued(
    make_bundle: MakeBundle, runner: Runner, tmp_path: Path, number: signal.Signals
) -> None:
    bundle, out = make_bundle(MANY, work=WORK), tmp_path / "out"
    command = runner(bundle, "replay", "--out", out, "--threads", 1)
    with started(command, out, 5) as process:
        process.send_signal(number)
        process.send_signal(number)
        _, said = process.communicate()
    assert process.returncode == 130
    assert said.endswith("error: interrupted\n  run the same command again to continue; what is done is kept\n")
    assert "Traceback" not in said
    kept = len(Replay.open(out).results("single").keys)
    assert 5 <= kept < MANY and not Replay.open(out).complete
    continued = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"single: {kept}/{MANY}" in continued.stderr
    assert_undisturbed(out, MANY)


def test_signals_that_are_ignored_at_the_start_stay_ignored(
    make_bundle: MakeBundle, runner: Runner, tmp_path: Path
) -> None:
    """As nohup lets SIGHUP be."""

    def ignore() -> None:
        for number in (signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)

    bundle, out = make_bundle(MANY, work=WORK), tmp_path / "out"
    with started(runner(bundle, "replay", "--out", out), out, 5, preexec_fn=ignore) as process:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 0
    assert_undisturbed(out, MANY)


def test_a_signal_ends_a_benchmark(make_bundle: MakeBundle, runner: Runner, tmp_path: Path) -> None:
    command = runner(make_bundle(), "bench", "--out", tmp_path / "out", "--idle-seconds", 0, "--seconds", 1000)
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("single latency: "):
                process.send_signal(signal.SIGTERM)
        assert process.wait() == 130
    assert not (tmp_path / "out" / "bench.json").exists()


@pytest.mark.parametrize("command", ["replay", "bench", "build", "verify"])
def test_a_run_ends_with_its_stdin_where_it_is_told_to(
    make_bundle: MakeBundle, runner: Runner, tmp_path: Path, command: str
) -> None:
    """What comes through it says nothing. A pipe ends when the process at its other end does, however that ended."""
    words = ["--end-with-stdin"] + (["--out", str(tmp_path / "out")] if command in ("replay", "bench") else [])
    bundle = make_bundle()
    without = subprocess.DEVNULL
    with subprocess.Popen(runner(bundle, command, *words), stdin=subprocess.PIPE, stdout=without) as process:
        assert process.stdin is not None
        process.stdin.write(b"anything\n")
        process.stdin.flush()
        if command == "bench":  # seconds of an idle machine come first
            process.stdin.close()
        assert process.wait() == (130 if command == "bench" else 0)


def test_a_replay_ends_with_its_stdin_in_its_middle(make_bundle: MakeBundle, runner: Runner, tmp_path: Path) -> None:
    bundle, out = make_bundle(MANY, work=WORK), tmp_path / "out"
    command = runner(bundle, "replay", "--out", out, "--threads", 1)
    with started([*command, "--end-with-stdin"], out, 5, stdin=subprocess.PIPE) as process:
        _, said = process.communicate()  # closes its stdin
    assert process.returncode == 130 and "error: interrupted" in said
    assert not Replay.open(out).complete
    subprocess.run(command, check=True, capture_output=True)
    assert_undisturbed(out, MANY)


def test_without_being_told_it_does_not_heed_its_stdin(make_bundle: MakeBundle, runner: Runner, tmp_path: Path) -> None:
    """As a run that was started detached, whose stdin is empty."""
    command = runner(make_bundle(), "replay", "--out", tmp_path / "out")
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    assert_undisturbed(tmp_path / "out", 7)


def test_what_does_not_heed_the_end_of_stdin_is_ended_by_force() -> None:
    """As a library that builds an engine for minutes."""
    program = (
        "import signal, time\n"
        "from segeval_runner import interruption\n"
        "interruption.PATIENCE_S = 0.01\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "interruption.end_with_stdin()\n"
        "while True: time.sleep(1)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], stdin=subprocess.DEVNULL, check=False)
    assert ended.returncode == 130


def test_a_signal_waits_for_tensorrt_as_ctrl_c_does() -> None:
    """An exception in what TensorRT calls back would end the process."""
    program = (
        "import os, signal\n"
        "from segeval_runner import interruption\n"
        "from segeval_runner.backends.tensorrt.interrupt import deferred_interrupt\n"
        "interruption.heed()\n"
        "try:\n"
        "    with deferred_interrupt() as interrupt:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        print('pending', interrupt.pending)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    heed = partial(signal.signal, signal.SIGTERM, signal.SIG_DFL)
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, preexec_fn=heed)
    assert said.stdout.split("\n") == ["pending True", "interrupted", ""]


def test_a_signal_that_waits_for_an_import_is_forgotten_with_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its alarm would come when Python has set the handler back, and kill the process."""
    heeded: list[int] = []
    handler = interruption.after_imports(lambda number, frame: heeded.append(number))
    before = signal.getsignal(signal.SIGALRM)
    try:
        monkeypatch.setattr(interruption, "is_importing", lambda frame: True)
        handler(signal.SIGINT, None)
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0 and not heeded
        monkeypatch.setattr(interruption, "is_importing", lambda frame: False)
        handler(signal.SIGTERM, None)
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0 and heeded == [signal.SIGTERM]
    finally:
        interruption.forget_waiting()
        signal.signal(signal.SIGALRM, before)

"""Images are read and label maps written beside the engine, and what a replay leaves behind is what it was without."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segeval.files.replays import Replay
from segeval_runner import replay as replaying
from segeval_runner.backends import Settings
from segeval_runner.backends.onnx_runtime import OnnxRuntime
from segeval_runner.beside import Helper
from segeval_runner.bundle import Inputs
from segeval_runner.errors import BundleError, OutputError
from segeval_runner.progress import Progress
from segeval_runner.recording import Recording
from segeval_runner.replay import Options, replay
from tests.interrupting import assert_undisturbed
from tests.sealing import write_sealed

MakeBundle = Callable[..., Path]
IMAGES = 9


@pytest.fixture(params=[1, 8], ids=["no core to spare", "cores to spare"])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Of the machine as the runner sees it, which is asked for one thread."""
    found: int = request.param
    monkeypatch.setattr(replaying, "usable_cores", lambda: found)
    return found


def run(bundle: Path, out: Path) -> None:
    """On one thread. None is left behind."""
    before = threading.active_count()
    try:
        replay(Options(bundle, out, "", (), 1, Settings(1, out / "cache")), Progress(True))
    finally:
        assert threading.active_count() == before


def failing(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, call: int, error: BaseException) -> None:
    """Let one call of a method fail."""
    method = getattr(owner, name)
    calls: list[None] = []

    def fail(*arguments: Any) -> Any:
        calls.append(None)
        if len(calls) == call:
            raise error
        return method(*arguments)

    monkeypatch.setattr(owner, name, fail)


def test_the_engine_alone_is_timed_and_what_is_beside_it_is_told(
    make_bundle: MakeBundle, tmp_path: Path, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, append = set(), Recording.append

    def slow(*arguments: Any) -> None:
        threads.add(threading.current_thread().name.partition("_")[0])
        deadline = time.thread_time() + 0.01
        while time.thread_time() < deadline:
            pass
        append(*arguments)

    monkeypatch.setattr(Recording, "append", slow)
    run(make_bundle(IMAGES), tmp_path / "out")
    assert_undisturbed(tmp_path / "out", IMAGES)
    assert threads == {"MainThread" if cores == 1 else "writer"}
    for engine in Replay.open(tmp_path / "out").engines:
        assert engine.outside_cpu_ms is not None and 10 < engine.outside_cpu_ms < 20


@pytest.mark.parametrize(
    ("owner", "name", "error", "done"),
    [
        (Inputs, "read", BundleError("not read", ""), 3),
        (Recording, "append", OutputError("not written", ""), 4),
        (OnnxRuntime, "infer", KeyboardInterrupt(), 3),
    ],
)
def test_what_goes_wrong_is_raised_and_what_was_done_before_is_kept(
    make_bundle: MakeBundle,
    tmp_path: Path,
    cores: int,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    name: str,
    error: BaseException,
    done: int,
) -> None:
    bundle, out = make_bundle(IMAGES), tmp_path / "out"
    with monkeypatch.context() as patched, pytest.raises(type(error)):
        failing(patched, owner, name, 5, error)
        run(bundle, out)
    assert len(Replay.open(out).results("single").keys) == done
    assert not Replay.open(out).complete
    run(bundle, out)
    assert_undisturbed(out, IMAGES)


def test_nothing_is_told_of_images_that_were_all_done(make_bundle: MakeBundle, tmp_path: Path, cores: int) -> None:
    bundle, out = make_bundle(IMAGES), tmp_path / "out"
    run(bundle, out)
    record = json.loads((out / "replay.json").read_text())
    record["engines"][0]["complete"] = False
    write_sealed(out / "replay.json", record)
    run(bundle, out)
    assert Replay.open(out).complete
    told = {engine.name: engine.outside_cpu_ms for engine in Replay.open(out).engines}
    assert told["single"] is None and told["batched"]


def test_ctrl_c_does_not_leave_a_thread_that_still_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It meets the wait for the end."""
    written: list[int] = []
    helper = Helper("writer", True)
    assert helper._thread is not None
    join, begun = helper._thread.join, threading.Event()

    def interrupted() -> None:
        monkeypatch.setattr(helper._thread, "join", join)
        raise KeyboardInterrupt

    def write() -> None:
        begun.set()
        time.sleep(0.1)
        written.append(1)

    monkeypatch.setattr(helper._thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt), helper:
        helper.begin(write)
        begun.wait()
    assert written == [1]

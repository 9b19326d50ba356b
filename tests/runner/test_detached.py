"""start, follow and stop of the runner, without a connection in between."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from segeval.files.replays import Replay

MakeBundle = Callable[..., Path]
Runner = Callable[..., list[str]]
MANY, WORK = 100, 700
"""Images, and what each costs: a run that takes seconds, so that it can be met in its middle."""


class Device:
    """A bundle, and a folder in which its runs are kept."""

    def __init__(self, bundle: Path, runner: Runner) -> None:
        self.bundle, self._runner = bundle, runner
        self.folder, self.out = bundle.parent / "run", bundle.parent / "out"
        self.words = ["replay", "--out", str(self.out), "--threads", "1", "--progress", "json"]

    def ask(self, *words: object, code: int = 0) -> list[dict[str, Any]]:
        """The JSON lines that a command answers on stdout, or on stderr if it ends badly."""
        command = self._runner(self.bundle, words[0], "--folder", self.folder, *words[1:])
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert ended.returncode == code, ended.stderr
        return [json.loads(line) for line in (ended.stderr if code else ended.stdout).splitlines()]

    def start(self) -> dict[str, Any]:
        (state,) = self.ask("start", *self.words)
        return state


@pytest.fixture
def device(make_bundle: MakeBundle, runner: Runner) -> Iterator[Device]:
    made = Device(make_bundle(MANY, work=WORK), runner)
    yield made
    made.ask("stop")


def held(device: Device) -> dict[str, Any]:
    """A run that has begun with its images, and is held there."""
    state = device.start()
    results = device.out / "single" / "results.jsonl"
    for _ in range(3000):
        if results.exists() and results.stat().st_size:
            break
        time.sleep(0.01)
    os.killpg(state["group"], signal.SIGSTOP)
    assert not Replay.open(device.out).complete, "it was over before it could be held"
    return state


def test_a_run_is_started_once_and_can_be_followed_from_anywhere(device: Device) -> None:
    state = held(device)
    assert state["started"] and state["words"] == device.words
    again = device.start()
    assert again == {**state, "started": False}
    os.killpg(state["group"], signal.SIGCONT)
    messages = device.ask("follow", "--run", state["run"])
    assert messages[-1] == {"at": (device.folder / "log").stat().st_size, "ended": True, "free": messages[-1]["free"]}
    lines = [message["line"] for message in messages[:-1] if "line" in message]
    assert "".join(lines) == (device.folder / "log").read_text()
    assert json.loads(lines[-1]) == {"exit": 0}
    half = len(messages) // 2
    rest = device.ask("follow", "--run", state["run"], "--offset", messages[half]["at"])
    lines = [message["line"] for message in messages[half + 1 :] if "line" in message]
    assert [message["line"] for message in rest[:-1]] == lines, "nothing twice, nothing left out"
    assert Replay.open(device.out).complete
    refusal = device.ask("follow", "--run", "another", code=2)
    assert "another run was started" in refusal[-1]["error"]


def test_a_run_is_stopped_as_by_ctrl_c_and_only_the_one_that_is_meant(device: Device) -> None:
    held(device)
    assert device.ask("stop", "--word", "/another/out") == [{"stopped": False}]
    assert device.ask("stop", "--word", str(device.out)) == [{"stopped": True}]
    assert (device.folder / "log").read_text().splitlines()[-1] == '{"exit": 130}'
    assert device.ask("stop") == [{"stopped": False}]
    assert 0 < len(Replay.open(device.out).results("single").keys) < MANY


def test_after_a_power_cut_the_run_has_ended_and_another_can_start(device: Device) -> None:
    state = held(device)
    os.killpg(state["group"], signal.SIGKILL)
    messages = device.ask("follow", "--run", state["run"])
    assert messages[-1]["ended"] and not any("exit" in message.get("line", "") for message in messages)
    again = device.start()
    assert again["started"] and again["run"] != state["run"]
    device.ask("follow", "--run", again["run"])
    assert Replay.open(device.out).complete


def test_a_folder_without_a_run_and_one_that_cannot_be_written(device: Device) -> None:
    device.folder.mkdir()
    (device.folder / "log").touch()
    assert "no run was started" in device.ask("follow", "--run", "x", code=2)[-1]["error"]
    device.folder = device.bundle / "run.sh" / "folder"
    assert "cannot write" in device.ask("start", *device.words, code=2)[-1]["error"]
    assert device.ask("stop") == [{"stopped": False}]

"""Evaluating in several processes: the same bytes, and what goes wrong in one of them is said."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from segeval.errors import DataError, EngineError, SegevalError
from segeval.evaluate import evaluate
from segeval.evaluate.measure import looking, several_processes
from segeval.evaluate.measure.several_processes import TOGETHER, WORTH_PROCESSES, how_many
from segeval.processes import Processes
from segeval.progress import silent
from segeval_runner.environment import usable_cores

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

Build = Callable[..., "World"]


def report_of(world: "World", out: Path, workers: int) -> dict[str, bytes]:
    """The files of a report, made by so many processes."""
    evaluate(world.set_root, [world.replay_root], out, workers=workers)
    return {file.name: file.read_bytes() for file in out.iterdir()}


@pytest.mark.parametrize("done", [None, 11], ids=["whole", "unfinished"])
def test_their_number_changes_no_byte(build: Build, tmp_path: Path, done: int | None) -> None:
    world = build(done=done)
    assert len(world.samples) > several_processes.TOGETHER, "there is more than one to hand out"
    assert report_of(world, tmp_path / "two", 2) == report_of(world, tmp_path / "one", 1)
    assert not multiprocessing.active_children(), "they have ended"


def test_forgotten_counts_of_clean_images_are_made_again(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = build()
    whole = report_of(world, tmp_path / "whole", 1)
    monkeypatch.setattr(looking, "REMEMBERED", 1)
    assert report_of(world, tmp_path / "again", 1) == whole


def test_what_one_of_them_finds_is_raised(build: Build, tmp_path: Path) -> None:
    world = build()
    (world.set_root / world.samples[-1].files["adversarial_prediction:espnet-camvid"].path).write_bytes(b"no image")
    said: list[SegevalError] = []
    for workers in (1, 2):
        with pytest.raises(DataError) as caught:
            evaluate(world.set_root, [world.replay_root], tmp_path / "out", workers=workers)
        said.append(caught.value)
    assert (said[0].what, said[0].hint) == (said[1].what, said[1].hint)
    assert not multiprocessing.active_children() and not (tmp_path / "out").exists()


def test_one_that_is_killed_ends_the_evaluation(build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = build()
    submit = Processes.submit

    def killing(self: Any, *call: Any) -> Any:
        self.result(submit(self, int))
        future = submit(self, *call)
        for child in multiprocessing.active_children():
            os.kill(child.pid or 0, signal.SIGKILL)
        return future

    monkeypatch.setattr(Processes, "submit", killing)
    with pytest.raises(EngineError, match="a counting process was killed"):
        evaluate(world.set_root, [world.replay_root], tmp_path / "out", progress=silent, workers=2)
    assert not (tmp_path / "out").exists()


def test_a_script_that_every_process_runs_again_is_told_so(build: Build, tmp_path: Path) -> None:
    world, script = build(), tmp_path / "script.py"
    roots = ", ".join(repr(str(path)) for path in (world.set_root, world.replay_root, tmp_path / "out"))
    script.write_text(
        "from pathlib import Path\nfrom segeval.evaluate import evaluate\n"
        f"root, replay, out = map(Path, ({roots}))\nevaluate(root, [replay], out, workers=2)\n"
    )
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    last = run.stderr.strip().splitlines()[-2:]
    assert run.returncode == 1 and "a process ended before it could begin" in last[0] and "__main__" in last[1]
    assert not (tmp_path / "out").exists()


def test_no_more_of_them_start_than_have_something_to_do(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, started = build(), list[int]()
    begin = Processes.__init__

    def counting(self: Processes, count: int, *given: Any) -> None:
        started.append(count)
        begin(self, count, *given)

    monkeypatch.setattr(Processes, "__init__", counting)
    for workers in (64, 0):
        evaluate(world.set_root, [world.replay_root], tmp_path / "out", workers=workers)
    assert started == [-(-len(world.samples) // several_processes.TOGETHER)]


def test_a_small_set_is_counted_by_one() -> None:
    assert how_many(None, WORTH_PROCESSES - 1) == 1
    assert how_many(None, WORTH_PROCESSES) == min(usable_cores(), WORTH_PROCESSES // TOGETHER)
    assert how_many(3, WORTH_PROCESSES - 1) == 3
    assert how_many(64, 2 * TOGETHER + 1) == 3, "no process without work"

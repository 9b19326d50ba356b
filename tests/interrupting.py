"""Replays that are met in their middle, and what must be in their folder in the end whatever befell them."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.files.replays import Replay
from segeval_runner.recording import compressed

MANY, WORK = 60, 700
"""Images, and what each costs: a run that takes seconds, so that it can be met in its middle."""


def expected(number: int) -> NDArray[np.uint8]:
    """The brightest channel of picture `number` of the bundles made in the runner's conftest."""
    picture = np.random.default_rng(number).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    brightest: NDArray[np.uint8] = picture.argmax(-1).astype(np.uint8)
    return brightest


def assert_undisturbed(out: Path, count: int) -> None:
    """It holds what a replay of `count` pictures gives that nothing happened to, byte for byte."""
    replay = Replay.open(out)
    assert replay.complete
    for engine, numbers in (("single", range(count)), ("batched", (0, 1, *range(count - 3, count)))):
        assert list(replay.results(engine).keys) == [f"clean/{number}" for number in numbers]
        streams = [compressed(expected(number)) for number in numbers]
        assert (out / engine / "labels.bin").read_bytes() == b"".join(streams)
        for number in numbers:
            assert np.array_equal(replay.labels(engine, f"clean/{number}"), expected(number))


def await_results(process: "subprocess.Popen[Any]", out: Path, results: int) -> None:
    """Wait until so many label maps are written by a process or its children."""
    file = out / "single" / "results.jsonl"
    while not file.exists() or file.read_bytes().count(b"\n") < results:
        assert process.poll() is None, "it ended before it could be met"
        time.sleep(0.002)


@contextmanager
def started(command: list[str], out: Path, results: int, **options: Any) -> Iterator["subprocess.Popen[str]"]:
    """A replay that is under way: `results` label maps are written, the last is not. options: of Popen."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stderr=pipe, stdout=subprocess.DEVNULL, text=True, **options) as process:
        try:
            await_results(process, out, results)
            yield process
        except BaseException:
            process.kill()  # it may be held
            raise


def runners(out: Path) -> list[int]:
    """The processes of a runner that writes into a folder."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # it has just ended
            if str(out).encode() in words and any(word.endswith(b"runner.pyz") for word in words):
                found.append(int(folder.name))
    return found


def await_end(out: Path) -> None:
    """Wait until no runner writes into a folder any more."""
    while runners(out):
        time.sleep(0.02)


def held(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

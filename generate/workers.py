"""Crafting in several processes, each on one thread, so that no result depends on how many there are."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from segeval.errors import EngineError
from segeval.records import AdversarialSample, CraftConfig

if TYPE_CHECKING:
    from segeval.generate.craft import Crafter
    from segeval.generate.jobs import Job
    from segeval.generate.samples import ImageFiles

Limits = Sequence[Sequence[float | None]]

WATCH = 1.0
"""Seconds between a worker's looks whether its parent still lives."""

here: "Worker"
"""In a worker process, what it attacks with."""


class Worker:
    """The crafter and the jobs of the parent process, made again in a process of its own."""

    def __init__(self, crafter: "Crafter", files: Mapping[str, "ImageFiles"]) -> None:
        self.crafter = crafter
        self.files = files
        self.jobs: list[Job] = list(crafter.jobs(files))


def start(config: CraftConfig, root: Path, files: Mapping[str, "ImageFiles"], parent: int) -> None:
    """Become a worker; end at once where the terminal's Ctrl-C or the parent's death says so."""
    global here  # a pool's initializer has no other way to its calls
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=follow, args=(parent,), daemon=True).start()
    from segeval.generate.craft import Crafter
    from segeval.generate.numerics import use_one_thread

    use_one_thread()
    here = Worker(Crafter(config, root), files)


def follow(parent: int) -> None:
    """End this process when its parent has ended without a word."""
    while os.getppid() == parent:
        time.sleep(WATCH)
    os._exit(1)


def attack(number: int, limits: Limits) -> list[AdversarialSample]:
    """Carry out a job."""
    return here.crafter.attack(here.jobs[number], here.files, limits, lambda step: None)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let Ctrl-C wait: a process that is interrupted while it starts, or whose parent is, says so with a traceback.

    Processes that start in the block inherit the blocked signal; `start` ends that.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, frame: caught.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
    if caught:
        signal.raise_signal(signal.SIGINT)


class Workers:
    """`count` processes for one crafting run; used as a context manager, which ends them."""

    def __init__(self, count: int, config: CraftConfig, root: Path, files: Mapping[str, "ImageFiles"]) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy the locks of PyTorch's threads
        arguments = (config, root, files, os.getpid())
        self._pool = ProcessPoolExecutor(count, context, start, arguments)

    def submit(self, number: int, limits: Limits) -> "Future[list[AdversarialSample]]":
        """Have a job carried out. Raises EngineError if a process has died."""
        try:
            with undisturbed():
                return self._pool.submit(attack, number, limits)
        except BrokenProcessPool as error:
            raise died() from error

    def result(self, future: "Future[list[AdversarialSample]]") -> list[AdversarialSample]:
        """Wait for a job. Raises what it raised, EngineError if a process has died."""
        try:
            return future.result()
        except BrokenProcessPool as error:
            raise died() from error

    def __enter__(self) -> "Workers":
        self._others = set(multiprocessing.active_children())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            for child in set(multiprocessing.active_children()) - self._others:
                child.terminate()
        self._pool.shutdown(cancel_futures=True)


def died() -> EngineError:
    """The error for a process that the system, or somebody, has killed."""
    return EngineError(
        "a crafting process was killed, perhaps for want of memory",
        "go on with --resume; fewer --workers take less memory",
    )


def usable_workers() -> int:
    """Processors this process may run on."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1

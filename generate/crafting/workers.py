"""Crafting in several processes, each on one thread, so that no result depends on how many there are."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from segeval.datasets import Size
from segeval.errors import EngineError, IntegrityError
from segeval.files.held import held
from segeval.files.set_folder import SetFolder
from segeval.files.sets import AdversarialSample, CraftConfig, DeployedFile, ModelRecord

from ..numerics import use_one_thread
from .samples import ImageFiles
from .setup import Setup

Limits = Sequence[Sequence[float | None]]

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end a run as Ctrl-C does."""

WATCH = 1.0
"""Seconds between a worker's looks whether its parent still lives."""

here: "Worker | Exception"
"""In a worker process, what it attacks with, or why it cannot."""


@dataclass(frozen=True)
class Order:
    """What every process is to attack.

    Attributes:
        size: (height, width) of the images; None if the dataset does not say sizes.
        models, deployed: what the parent has loaded, and this set's manifest names.
    """

    config: CraftConfig
    size: Size | None
    root: Path
    models: tuple[ModelRecord, ...]
    deployed: tuple[DeployedFile, ...]
    files: Mapping[str, ImageFiles]


class Worker:
    """The setup and the jobs of the parent process, made again in a process of its own.

    Raises IntegrityError if a model is another one by now, StorageError if the set's folder is gone.
    """

    def __init__(self, order: Order) -> None:
        self.holding = ExitStack()  # as long as the process lives
        self.holding.enter_context(held(order.root))
        self.folder = SetFolder(order.root)
        self.setup = Setup(order.config, size=order.size)
        self.files = order.files
        self.jobs = list(self.setup.jobs(order.files))
        for model, expected in zip(self.setup.models, order.models, strict=True):
            model.record = replace(model.record, logit_scale=expected.logit_scale)
            if model.record != expected:
                hint = "restore them, or craft into a new folder"
                raise IntegrityError(f"the weights of {expected.name} were changed while crafting", hint)
        if self.setup.deployed_files != order.deployed:
            raise IntegrityError("the bundle was changed while crafting", "restore it, or craft into a new folder")


def start(order: Order, parent: int) -> None:
    """Become a worker; end at once where the terminal's Ctrl-C or the parent's death says so."""
    global here  # a pool's initializer has no other way to its calls
    for number in STOPS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    threading.Thread(target=follow, args=(parent,), daemon=True).start()
    use_one_thread()
    try:
        here = Worker(order)
    except Exception as error:  # raised where somebody hears it: a pool says no more of it than that it is broken
        here = error


def follow(parent: int) -> None:
    """End this process when its parent has ended without a word."""
    while os.getppid() == parent:
        time.sleep(WATCH)
    os._exit(1)


def attack(number: int, limits: Limits) -> list[AdversarialSample]:
    """Carry out a job. Raises what the process could not start for."""
    if isinstance(here, Exception):
        raise here
    return here.setup.attack(here.folder, here.jobs[number], here.files, limits, lambda step: None)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let Ctrl-C and its like wait: a process that is interrupted while it starts says so with a traceback.

    Processes that start in the block inherit the blocked signal; `start` ends that.
    """
    handlers = {number: signal.getsignal(number) for number in STOPS}
    if threading.current_thread() is not threading.main_thread() or None in handlers.values():
        yield
        return
    caught: list[int] = []
    for number in STOPS:
        signal.signal(number, lambda number, frame: caught.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if caught:
            signal.raise_signal(caught[0])


class Workers:
    """`count` processes for one crafting run; used as a context manager, which ends them."""

    def __init__(self, count: int, order: Order) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy the locks of PyTorch's threads
        with undisturbed():  # its resource tracker knows SIGINT and SIGTERM alone
            self._pool = ProcessPoolExecutor(count, context, start, (order, os.getpid()))

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
        "a crafting process was killed, perhaps because memory ran out",
        "continue with --resume; fewer --workers need less memory",
    )

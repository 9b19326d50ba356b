"""Processes that share a work: each prepares itself once, then carries out calls, and none outlives its parent."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.synchronize import Semaphore
from types import TracebackType
from typing import Any, TypeVar

from segeval.errors import EngineError

Order = TypeVar("Order")
Result = TypeVar("Result")
Made = TypeVar("Made")

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end a run as Ctrl-C does."""

NOT_BEGUN = EngineError(
    "a process ended before it could begin",
    'in a Python script, call this below `if __name__ == "__main__":`, because every process imports the script; '
    "elsewhere memory may have run out: use fewer workers",
)

WATCH = 1.0
"""Seconds between a process's looks whether its parent still lives."""

here: object
"""In one of the processes, what it works with, or the exception why it cannot."""


def start(prepare: Callable[[Order], object], order: Order, parent: int, begun: Semaphore) -> None:
    """Become one of the processes; end at once where the terminal's Ctrl-C or the parent's death says so."""
    global here  # a pool's initializer has no other way to its calls
    begun.release()
    for number in STOPS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    threading.Thread(target=follow, args=(parent,), daemon=True).start()
    try:
        here = prepare(order)
    except Exception as error:  # raised where somebody hears it: a pool says no more of it than that it is broken
        here = error


def follow(parent: int) -> None:
    """End this process when its parent has ended without a word."""
    while os.getppid() == parent:
        time.sleep(WATCH)
    os._exit(1)


def prepared(kind: type[Made]) -> Made:
    """What this process works with. Raises what it could not start for."""
    if isinstance(here, Exception):
        raise here
    assert isinstance(here, kind)
    return here


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


class Processes:
    """Used as a context manager, which ends them.

    Args:
        count: how many.
        prepare: makes what a process works with; calls get it by `prepared`.
        order: what `prepare` is called with.
        killed: the error for a process that the system, or somebody, has killed.
    """

    def __init__(self, count: int, prepare: Callable[[Order], object], order: Order, killed: EngineError) -> None:
        self._killed = killed
        context = multiprocessing.get_context("spawn")  # a fork would copy the locks of PyTorch's threads
        with undisturbed():  # its resource tracker knows SIGINT and SIGTERM alone
            self._begun = context.Semaphore(0)
            self._pool = ProcessPoolExecutor(count, context, start, (prepare, order, os.getpid(), self._begun))

    def submit(self, call: Callable[..., Result], *arguments: Any) -> "Future[Result]":
        """Have a call carried out. Raises EngineError if a process has died."""
        try:
            with undisturbed():
                return self._pool.submit(call, *arguments)
        except (BrokenProcessPool, OSError, ValueError) as error:
            # The last two: a process died while another one started, and the pool closed the pipes it was to get.
            raise self._ended() from error

    def result(self, future: "Future[Result]") -> Result:
        """Wait for a call. Raises what it raised, EngineError if a process has died."""
        try:
            return future.result()
        except BrokenProcessPool as error:
            raise self._ended() from error

    def _ended(self) -> EngineError:
        return self._killed if self._begun.acquire(block=False) else NOT_BEGUN

    def __enter__(self) -> "Processes":
        self._others = set(multiprocessing.active_children())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            for child in set(multiprocessing.active_children()) - self._others:
                child.terminate()
        self._pool.shutdown(cancel_futures=True)

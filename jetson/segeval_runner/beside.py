"""Work beside an engine, so that images are read and label maps are written while it computes."""

from __future__ import annotations

import time
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, Callable, Optional, Type

Work = Callable[[], Any]


class Helper:
    """Does one piece of work at a time, in the order in which they are given.

    cpu_s: CPU seconds that a thread of its own spent on them.

    Args:
        name: of its thread.
        beside: do it in a thread, which has ended when this is left; else at once, where it is given.
    """

    def __init__(self, name: str, beside: bool) -> None:
        self._given: SimpleQueue[Optional[Work]] = SimpleQueue()
        self._done: SimpleQueue[Optional[BaseException]] = SimpleQueue()
        self._thread = Thread(target=self._serve, name=name, daemon=True) if beside else None
        self._is_busy = False
        self.cpu_s = 0.0

    def begin(self, work: Work) -> None:
        """Give it work. What is to be known of the work before comes first: see `wait`."""
        self._is_busy = True
        if self._thread is not None:
            self._given.put(work)
        else:
            self._done.put(outcome(work))

    def wait(self) -> None:
        """Until the work that was given is done. Raises what it raised."""
        if self._is_busy:
            error = self._done.get()
            self._is_busy = False
            if error is not None:
                raise error

    def _serve(self) -> None:
        """Do what is given, until that is nothing."""
        for work in iter(self._given.get, None):
            started = time.thread_time()
            error = outcome(work)
            self.cpu_s += time.thread_time() - started
            self._done.put(error)

    def __enter__(self) -> Helper:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if self._thread is not None:
            self._given.put(None)
            try:
                self._thread.join()
            finally:
                self._thread.join()  # Ctrl-C may have met the first; a thread still writes what it has begun


def outcome(work: Work) -> Optional[Exception]:
    """Do it. Returns what it raised."""
    try:
        work()
    except Exception as error:
        return error
    return None

"""Work beside an engine, so that images are read and label maps are written while it computes."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Callable, Optional, Type

Work = Callable[..., Any]


class Helper:
    """Does one piece of work at a time, in the order in which they are given.

    cpu_s: CPU seconds that a thread of its own spent on them.

    Args:
        name: of its thread.
        beside: do it in a thread, which has ended when this is left; else at once, where it is given.
    """

    def __init__(self, name: str, beside: bool) -> None:
        self._pool = ThreadPoolExecutor(1, name) if beside else None
        self._given: Optional[Future[Any]] = None
        self.cpu_s = 0.0

    def begin(self, work: Work, *arguments: Any) -> None:
        """Give it work. What is to be known of the work before comes first: see `wait`."""
        if self._pool is not None:
            self._given = self._pool.submit(self._timed, work, *arguments)
            return
        self._given = Future()
        try:
            self._given.set_result(work(*arguments))
        except Exception as error:
            self._given.set_exception(error)

    def wait(self) -> None:
        """Until the work that was given is done. Raises what it raised."""
        given, self._given = self._given, None
        if given is not None:
            given.result()

    def _timed(self, work: Work, *arguments: Any) -> None:
        started = time.thread_time()
        try:
            work(*arguments)
        finally:
            self.cpu_s += time.thread_time() - started

    def __enter__(self) -> Helper:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if self._pool is not None:
            try:
                self._pool.shutdown()
            finally:
                self._pool.shutdown()  # Ctrl-C may have met the first; a thread still writes what it has begun

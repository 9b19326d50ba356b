"""A thread that reads the sensors at a fixed interval, and measures its own cost."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Callable, List, Optional, Type

from segeval_runner.telemetry.reading import Reading, Row

MOST_ROWS = 8_000
"""Rows kept in memory, some 20 MB; when there are more, every second one goes and the pace halves."""


class Sampler:
    """Samples while it is entered.

    busy_s, cpu_s: wall-clock and CPU seconds spent on reading so far.

    Attributes:
        read: gives a reading.
        period_s: between two readings at first.
        elapsed_s: since it was entered.
    """

    def __init__(self, read: Callable[[], Reading], period_s: float, most_rows: int = MOST_ROWS) -> None:
        self.period_s = period_s
        self.busy_s = self.cpu_s = 0.0
        self._read = read
        self._most_rows = most_rows
        self._rows: List[Row] = []
        self._stop = threading.Event()
        self._error: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._started = 0.0

    @property
    def elapsed_s(self) -> float:
        """Seconds since it was entered."""
        return time.monotonic() - self._started

    def rows(self, start: float, end: float) -> List[Row]:
        """What was read between two moments of time.monotonic()."""
        return [row for row in list(self._rows) if start <= row[0] <= end]

    def __enter__(self) -> Sampler:
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def _run(self) -> None:
        try:
            due = self._started
            while not self._stop.wait(max(0.0, due - time.monotonic())):
                self._sample()
                # Never two in a row to catch up: a sample that is late is late for all that follow.
                due = max(due + self.period_s, time.monotonic())
        except BaseException as error:  # raised again where somebody hears it
            self._error = error

    def _sample(self) -> None:
        started, cpu = time.monotonic(), time.thread_time()
        reading = self._read()
        ended = time.monotonic()
        self._rows.append(((started + ended) / 2, reading))
        if len(self._rows) >= self._most_rows:
            self._rows = self._rows[::2]
            self.period_s *= 2
        self.busy_s += ended - started
        self.cpu_s += time.thread_time() - cpu

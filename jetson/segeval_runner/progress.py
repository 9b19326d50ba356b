"""Progress on stderr: lines of text with the time left, or JSON lines for a program that watches.

A closed stderr is ignored, so that progress never stops a replay.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from typing import Any, Optional

STDERR = 2
INTERVAL = 5.0
LIVE_INTERVAL = 0.25


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return "{}:{:02d}:{:02d}".format(hours, minute, second) if hours else "{}:{:02d}".format(minute, second)


class Progress:
    """Says what is being done and how far it is. as_json: one JSON object per line instead of text."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self._interval = LIVE_INTERVAL if as_json else INTERVAL
        self._stage: Optional[str] = None
        self._started = self._said = 0.0
        self._first = 0

    def update(self, stage: str, done: int, total: int) -> None:
        """Report `done` of `total` in a stage: its first call and its end always, in between every few seconds."""
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._started, self._first, self._said = stage, now, done, 0.0
        elif done < total and now - self._said < self._interval:
            return
        self._said = now
        if self.as_json:
            self._write(json.dumps({"stage": stage, "done": done, "total": total}))
            return
        left = ""
        if self._first < done < total:
            rate = (now - self._started) / (done - self._first)
            left = ", {} left".format(clock(rate * (total - done)))
        share = 100 * done // total if total else 100
        self._write("{}: {}/{} ({} %{})".format(stage, done, total, share, left))

    def fail(self, what: str, hint: str) -> None:
        """The error that ends the run."""
        record: Any = {"error": what, "hint": hint}
        self._write(json.dumps(record) if self.as_json else "error: {}{}".format(what, "\n  " + hint if hint else ""))

    def _write(self, line: str) -> None:
        # Past Python's own stderr, which would try once more to write what failed when the process ends.
        with suppress(OSError):
            os.write(STDERR, (line + "\n").encode("utf-8", "replace"))

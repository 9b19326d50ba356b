"""What TensorRT says while it works."""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from typing import Deque, Dict, List

from segeval_runner.backends.tensorrt.library import trt

KEPT = 6
"""So many of the latest messages go into an error: the first are often the cause, the last always the complaint."""


MOST_WARNINGS = 50
"""Different warnings that are kept; a builder repeats few of them often."""
LISTING = "Layers:"
LONGEST = 500
"""Characters of a warning that go into a record."""


class Log(trt.ILogger):
    """Keeps errors and warnings: for the text of the BackendError that follows, and for the record of a build.

    layers: TensorRT's list of an engine's layers, one a line, which it gives at the end of a detailed build.
    """

    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self.errors: Deque[str] = deque(maxlen=KEPT)
        self.warnings: Dict[str, int] = {}
        self.layers: List[str] = []

    def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
        """Called by TensorRT, from any of its threads."""
        if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
            self.errors.append(msg.strip())
        elif severity == trt.ILogger.Severity.WARNING:
            self._warn(" ".join(msg.split())[:LONGEST])
        elif msg.startswith(LISTING):
            self.layers = [line for line in msg.splitlines() if line.startswith("Name: ")]

    def _warn(self, text: str) -> None:
        """Count a warning, unless there are too many others."""
        if text in self.warnings or len(self.warnings) < MOST_WARNINGS:
            self.warnings[text] = self.warnings.get(text, 0) + 1

    def forget(self) -> None:
        """Begin anew."""
        self.errors.clear()
        self.warnings.clear()
        self.layers = []

    def told(self) -> str:
        """The errors, or else the warnings, as lines to put behind what failed; empty if there are none."""
        return "".join("\n  " + message for message in (self.errors or list(self.warnings)[-KEPT:]))

    def noted(self) -> List[str]:
        """Every warning for the record of a build, with how often it was given if more than once."""
        return [text + " (×{})".format(count) * (count > 1) for text, count in self.warnings.items()]


@lru_cache(maxsize=None)
def the_log() -> Log:
    """The log of this process. TensorRT keeps the first logger it meets until the process ends, so there is one."""
    return Log()

"""What TensorRT says while it works."""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from typing import Deque

import tensorrt as trt

KEPT = 6
"""So many of the latest messages go into an error: the first are often the cause, the last always the complaint."""


class Log(trt.ILogger):
    """Keeps errors and warnings for the text of the BackendError that follows."""

    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self.errors: Deque[str] = deque(maxlen=KEPT)
        self.warnings: Deque[str] = deque(maxlen=KEPT)

    def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
        """Called by TensorRT, from any of its threads."""
        if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
            self.errors.append(msg.strip())
        elif severity == trt.ILogger.Severity.WARNING:
            self.warnings.append(msg.strip())

    def forget(self) -> None:
        """Begin anew."""
        self.errors.clear()
        self.warnings.clear()

    def told(self) -> str:
        """The errors, or else the warnings, as lines to put behind what failed; empty if there are none."""
        return "".join("\n  " + message for message in (self.errors or self.warnings))


@lru_cache(maxsize=None)
def the_log() -> Log:
    """The log of this process. TensorRT keeps the first logger it meets until the process ends, so there is one."""
    return Log()

"""Ctrl-C while TensorRT works.

Python raises KeyboardInterrupt in any Python code, also in TensorRT's callbacks, where an exception ends the process.
During a build the signal is therefore only remembered.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from types import FrameType
from typing import Iterator, Optional


class Interrupt:
    """Remembers that Ctrl-C was pressed, in `pending`."""

    pending = False

    def remember(self, signum: int, frame: Optional[FrameType]) -> None:
        """A signal handler that does no more than that."""
        self.pending = True


@contextmanager
def deferred_interrupt() -> Iterator[Interrupt]:
    """Let Ctrl-C wait until the end of the block, where the handler from before gets it."""
    interrupt = Interrupt()
    main = threading.current_thread() is threading.main_thread()
    # Only the main thread is ever interrupted; and who lets Ctrl-C be ignored, as nohup does, means it.
    if not main or signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None):
        yield interrupt
        return
    before = signal.signal(signal.SIGINT, interrupt.remember)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
        if interrupt.pending:
            signal.raise_signal(signal.SIGINT)

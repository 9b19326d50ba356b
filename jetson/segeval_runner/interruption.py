"""What ends a run early: Ctrl-C, a signal, or the end of the starting process. All are treated as Ctrl-C.

It is raised once, as KeyboardInterrupt in the main thread; nothing disturbs the clean-up after that.
"""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time
from types import FrameType
from typing import Any, Callable, List, Optional

from segeval_runner.errors import EXIT_INTERRUPTED

STDIN = 0
PATIENCE_S = 15.0
"""How long a run without a parent may take to end by itself: a library may not come back for minutes."""

AGAIN_S = 0.05
"""After how long a signal that met an import is looked at again."""
IMPORTING = "<frozen importlib._bootstrap>"

Handler = Callable[[int, Optional[FrameType]], Any]

came: List[int] = []
"""Signals that were to end this process. An error after one is caused by it: C++ and Rust turn a KeyboardInterrupt in
Python code that they called into other errors."""


def heed() -> None:
    """Let Ctrl-C, SIGTERM and SIGHUP end this process in an orderly way; the latter two unless they are ignored."""
    signal.signal(signal.SIGINT, after_imports(interrupt_once))
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # Who lets one be ignored, as nohup does, means it.
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, as_ctrl_c)


def after_imports(handler: Handler) -> Handler:
    """Let signals wait while a module is loaded: C++ libraries abort the process where an exception meets them then."""

    def wait(signum: int, frame: Optional[FrameType]) -> None:
        if is_importing(frame) and hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, lambda _, later: wait(signum, later))
            signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
        else:
            forget_waiting()
            came.append(signum)
            handler(signum, frame)

    return wait


def forget_waiting() -> None:
    """Forget a signal that waits for the end of an import: nothing is left that it could interrupt.

    Python sets the handler of the alarm back when it ends, and an alarm that came later would kill the process.
    """
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)


def is_importing(frame: Optional[FrameType]) -> bool:
    """Whether an import is running."""
    while frame is not None and frame.f_code.co_filename != IMPORTING:
        frame = frame.f_back
    return frame is not None


def interrupt_once(signum: int, frame: Optional[FrameType]) -> None:
    """Stop at the first Ctrl-C and let nothing disturb the clean-up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def as_ctrl_c(signum: int, frame: Optional[FrameType]) -> None:
    """Hand another signal on to whoever handles Ctrl-C now: see `deferred_interrupt` of the TensorRT backend."""
    signal.raise_signal(signal.SIGINT)


def end_with_stdin() -> None:
    """Press Ctrl-C once stdin ends, as a pipe does when the process at its other end is gone, however it ended.

    What does not heed that is ended by force.
    """
    threading.Thread(target=_watch_stdin, name="stdin", daemon=True).start()


def _watch_stdin() -> None:
    try:
        while os.read(STDIN, 1 << 10):
            pass
    except OSError:
        pass  # none is as good as one that ended
    press_ctrl_c()
    time.sleep(PATIENCE_S)
    os._exit(EXIT_INTERRUPTED)


def press_ctrl_c() -> None:
    """From another thread than the main one, which it wakes."""
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, signal.SIGINT)
    else:
        _thread.interrupt_main()

"""Follows a build of TensorRT 10 and later, and can stop it. Imported only where `IProgressMonitor` exists."""

from __future__ import annotations

from typing import Callable, Optional

from segeval_runner.backends.tensorrt.library import trt
from segeval_runner.backends.tensorrt.progress import Phases


class Monitor(trt.IProgressMonitor):
    """An exception must not leave these methods: TensorRT's own frames, which do not expect one, lie in between. So
    what `say` raises is kept in `error`, the build is told to stop, and who started it raises the error.

    Attributes:
        say: called with the name of an outermost phase and its percentage.
        stop: whether to give up the build.
    """

    def __init__(self, say: Callable[[str, int], None], stop: Callable[[], bool]) -> None:
        trt.IProgressMonitor.__init__(self)
        self.error: Optional[Exception] = None
        self._stop = stop
        self._phases = Phases(say)

    def phase_start(self, phase_name: str, parent_phase: Optional[str], num_steps: int) -> None:
        """See `Phases.start`; the parent is None for an outermost phase."""
        self._keeping(lambda: self._phases.start(phase_name, parent_phase, num_steps))

    def step_complete(self, phase_name: str, step: int) -> bool:
        """See `Phases.step`. False stops the build."""
        self._keeping(lambda: self._phases.step(phase_name, step))
        return self.error is None and not self._stop()

    def phase_finish(self, phase_name: str) -> None:
        """See `Phases.finish`."""
        self._keeping(lambda: self._phases.finish(phase_name))

    def _keeping(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:
            self.error = self.error or error

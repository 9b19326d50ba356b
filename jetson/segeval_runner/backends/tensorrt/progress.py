"""How far a build is. TensorRT tells of phases inside phases; a person wants one number."""

from __future__ import annotations

from threading import Lock
from typing import Callable, Dict, Optional


class Phase:
    """A part of a build.

    Attributes:
        steps: it has.
        done: of them.
        inner: share of the current step that is done, 0 to 1.
    """

    def __init__(self, parent: Optional[str], steps: int) -> None:
        self.parent = parent
        self.steps = max(steps, 1)
        self.done = 0
        self.inner = 0.0

    def share(self) -> float:
        """How much of it is done, 0 to 1."""
        return min((self.done + self.inner) / self.steps, 1.0)


class Phases:
    """Puts the phases together: a phase inside another is the step that the other is at.

    Attributes:
        say: called with the name of an outermost phase and its percentage.
    """

    def __init__(self, say: Callable[[str, int], None]) -> None:
        self._say = say
        self._open: Dict[str, Phase] = {}
        # TensorRT builds with several threads, and reports from each of them.
        self._lock = Lock()

    def start(self, name: str, parent: Optional[str], steps: int) -> None:
        """A phase begins, inside `parent` or by itself."""
        with self._lock:
            self._open[name] = Phase(parent, steps)
            self._tell(name)

    def step(self, name: str, step: int) -> None:
        """Step number `step`, from 0, of a phase is done."""
        with self._lock:
            phase = self._open.get(name)
            if phase is not None:
                phase.done, phase.inner = max(phase.done, step + 1), 0.0
                self._tell(name)

    def finish(self, name: str) -> None:
        """A phase ends, whether or not all its steps were reported."""
        with self._lock:
            phase = self._open.get(name)
            if phase is not None:
                phase.done, phase.inner = phase.steps, 0.0
                self._tell(name)
                del self._open[name]

    def _tell(self, name: str) -> None:
        phase = self._open[name]
        while phase.parent in self._open:
            name = str(phase.parent)
            outer = self._open[name]
            outer.inner = max(outer.inner, phase.share())
            phase = outer
        self._say(name, int(100 * phase.share()))

"""Processes that share a work: what goes wrong while they start."""

import time
from multiprocessing import util

import pytest

from segeval.errors import EngineError
from segeval.processes import Processes

KILLED = EngineError("a process was killed", "use fewer")


@pytest.mark.parametrize("error", [ValueError("bad value(s) in fds_to_keep"), OSError("handle is closed")])
def test_a_death_while_another_process_starts_is_said(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool closes its pipes when a process has died, and a process that starts just then gets closed ones."""

    def start(*call: object) -> int:
        raise error

    with Processes(2, int, 0, KILLED) as processes:
        processes.result(processes.submit(int))
        monkeypatch.setattr(util, "spawnv_passfds", start)
        with pytest.raises(EngineError, match="a process was killed"):
            for _ in range(2):  # the first is for the process that is idle
                processes.submit(time.sleep, 0.3)

"""Calls of one model with a call ahead: the next is queued before waiting for the previous one."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Any, Callable, Deque, NamedTuple, Sequence

import numpy as np

from segeval_runner.cuda.call import DeviceCall
from segeval_runner.errors import BackendError


class Lane(NamedTuple):
    """Memory and a stream of its own, and what queues the model there."""

    call: DeviceCall
    compute: Callable[[], None]


class Pipeline:
    """Takes the lanes in turn: the copies of one call, and what the host does for it, go on while another computes."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._idle: Deque[Lane] = deque(lanes)
        self._busy: Deque[Lane] = deque()

    def begin(self, images: np.ndarray[Any, Any]) -> None:
        """Queue a call for uint8 (N, H, W, 3) images and return. As many may be begun as there are lanes."""
        if not self._idle:
            raise BackendError("a call was begun while {} were not finished".format(len(self._busy)))
        lane = self._idle.popleft()
        self._busy.append(lane)
        lane.call.begin(images, lane.compute)

    def finish(self) -> np.ndarray[Any, Any]:
        """The int32 (N, H, W) labels of the call that was begun first. Raises BackendError if it failed."""
        lane = self._busy.popleft()
        self._idle.append(lane)
        return lane.call.finish()

    def drain(self) -> None:
        """Wait for what was begun and not finished, whatever becomes of it: its memory may be given back then."""
        while self._busy:
            with suppress(BackendError):
                self.finish()

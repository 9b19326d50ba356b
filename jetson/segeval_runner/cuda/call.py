"""A call of a deployed model on the device: images there, labels back, each part timed by the device's clock."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

import numpy as np

from segeval_runner.cuda.memory import Cuda
from segeval_runner.errors import BackendError

STAGES = ("host_to_device", "compute", "device_to_host")


class End(NamedTuple):
    """The input or the output of a model."""

    name: str
    shape: Tuple[int, ...]
    dtype: Any


class Ends(NamedTuple):
    """The input and output of a model."""

    images: End
    labels: End


def contract(shape: Tuple[int, int, int]) -> Ends:
    """The ends of every file that segeval made.

    Args:
        shape: (batch, height, width) of its images.
    """
    return Ends(End("image", (*shape, 3), np.uint8), End("labels", shape, np.int32))


class DeviceCall:
    """Memory, stream and events for the calls of one model, one at a time.

    Attributes:
        shape: (batch, height, width) of the model's input.
        ends: of the model, where it is not as the contract says.
    """

    def __init__(self, cuda: Cuda, shape: Tuple[int, int, int], ends: Optional[Ends] = None) -> None:
        self._cuda = cuda
        self.ends = ends = contract(shape) if ends is None else ends
        self.enqueue_ms = 0.0
        """Of the latest call: how long the host was busy with queueing the model, without the copies."""
        with ExitStack() as taken:
            self._images = cuda.pinned(ends.images.shape, ends.images.dtype)
            taken.callback(cuda.free_pinned, self._images)
            self._labels = cuda.pinned(ends.labels.shape, ends.labels.dtype)
            taken.callback(cuda.free_pinned, self._labels)
            self.images = cuda.allocate(self._images.nbytes)
            taken.callback(self.images.free)
            self.labels = cuda.allocate(self._labels.nbytes)
            taken.callback(self.labels.free)
            self.stream = cuda.stream()
            taken.callback(self.stream.destroy)
            self._events = []
            for _ in range(len(STAGES) + 1):
                event = cuda.event()
                taken.callback(event.destroy)
                self._events.append(event)
            # From here on all of it is `close`'s.
            self._taken = taken.pop_all()

    def run(self, images: np.ndarray[Any, Any], compute: Callable[[], None]) -> np.ndarray[Any, Any]:
        """uint8 (N, H, W, 3) images to int32 (N, H, W) labels.

        Raises BackendError.

        Args:
            images: uint8 (N, H, W, 3).
            compute: queues the model into `stream`; reads the buffer `images`, fills the buffer `labels`.
        """
        self.begin(images, compute)
        return self.finish()

    def begin(self, images: np.ndarray[Any, Any], compute: Callable[[], None]) -> None:
        """Queue a call and return; see `run`. Only once it is finished may the next one begin."""
        if (images.dtype, images.shape) != (self._images.dtype, self._images.shape):
            what = "images are {} {}, not {} {}".format(
                images.dtype, images.shape, self._images.dtype, self._images.shape
            )
            raise BackendError(what)
        self._images[...] = images
        before, there, done, back = self._events
        before.record(self.stream)
        self._cuda.to_device(self.images, self._images, self.stream)
        there.record(self.stream)
        called = time.perf_counter()
        compute()
        self.enqueue_ms = (time.perf_counter() - called) * 1e3
        done.record(self.stream)
        self._cuda.to_host(self._labels, self.labels, self.stream)
        back.record(self.stream)

    def finish(self) -> np.ndarray[Any, Any]:
        """Wait for the call that was begun. Returns its labels; raises BackendError if something of it failed."""
        self.stream.synchronize()
        return self._labels.copy()

    def stages(self) -> Dict[str, float]:
        """Milliseconds of device time of the latest call, by the names of `Backend.stages`."""
        parts = zip(STAGES, self._events, self._events[1:])
        return {name: self._cuda.elapsed_ms(start, end) for name, start, end in parts}

    def close(self) -> None:
        """Give everything back."""
        self._taken.close()


def device_facts(cuda: Cuda) -> Dict[str, Any]:
    """The device, and the way to its memory."""
    capability = "{}.{}".format(*cuda.compute_capability())
    return {
        "memory": cuda.name,
        "gpu": cuda.device_name(),
        "compute_capability": capability,
        "multiprocessors": cuda.multiprocessors(),
        "cuda_driver": cuda.driver(),
    }

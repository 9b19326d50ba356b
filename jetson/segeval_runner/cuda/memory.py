"""What the runner needs from CUDA: memory, copies, streams, times and graphs of one device.

Two implementations exist, in with_pycuda.py and with_cudart.py. Both use the device's primary context, the one that
TensorRT and ONNX Runtime use too, so handles and addresses go from one to the other as plain integers. A `Cuda` is
used by the thread that opened it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Callable, Sequence, Tuple

import numpy as np

from segeval_runner.errors import BackendError


class Resource(ABC):
    """Something of the device that is given back once; giving it back again does nothing.

    Attributes:
        what: its name in errors.
        thing: what the implementation knows it by.
    """

    what = "resource"

    def __init__(self, thing: Any) -> None:
        self._thing: Any = thing

    @property
    def thing(self) -> Any:
        """The implementation's handle. Raises BackendError once it was released."""
        if self._thing is None:
            raise BackendError("this {} was already released".format(self.what))
        return self._thing

    def destroy(self) -> None:
        """Give it back. Raises BackendError if the device refuses."""
        if self._thing is not None:
            thing, self._thing = self._thing, None
            self._release(thing)

    @abstractmethod
    def _release(self, thing: Any) -> None:
        """Give it back to the device."""


class DeviceBuffer(Resource):
    """Memory on the device. nbytes: its size."""

    what = "device buffer"

    def __init__(self, thing: Any, nbytes: int) -> None:
        super().__init__(thing)
        self.nbytes = nbytes

    @property
    @abstractmethod
    def address(self) -> int:
        """Where it begins on the device."""

    def free(self) -> None:
        """Give it back; see `destroy`."""
        self.destroy()


class Stream(Resource):
    """A queue of work on the device, independent of the default stream."""

    what = "stream"

    @property
    @abstractmethod
    def handle(self) -> int:
        """The cudaStream_t, for TensorRT and ONNX Runtime."""

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until everything queued is done. Raises BackendError if something of it failed."""


class Event(Resource):
    """A point in a stream, whose time the device notes."""

    what = "event"

    @abstractmethod
    def record(self, stream: Stream) -> None:
        """Put it behind what is queued."""


class Graph(Resource):
    """Work that was captured once and is launched as a whole."""

    what = "graph"

    @abstractmethod
    def launch(self, stream: Stream) -> None:
        """Queue all of it."""


class Cuda(ABC):
    """The first visible device. Everything raises BackendError when the device refuses."""

    name: str

    @abstractmethod
    def device_name(self) -> str:
        """Its name, such as "Orin"."""

    @abstractmethod
    def compute_capability(self) -> Tuple[int, int]:
        """Major and minor, such as (8, 7)."""

    @abstractmethod
    def multiprocessors(self) -> int:
        """How many are switched on: a Jetson's power modes switch some off, and not all Orins have the same number."""

    @abstractmethod
    def driver(self) -> str:
        """The newest CUDA that the driver knows, such as "12.6"."""

    @abstractmethod
    def allocate(self, nbytes: int) -> DeviceBuffer:
        """Memory on the device, not initialized."""

    @abstractmethod
    def pinned(self, shape: Sequence[int], dtype: Any) -> np.ndarray[Any, Any]:
        """A page-locked array on the host, not initialized: the device copies it without a detour."""

    @abstractmethod
    def free_pinned(self, array: np.ndarray[Any, Any]) -> None:
        """Free memory of `pinned`. Neither it nor a view of it may be used afterwards."""

    @abstractmethod
    def stream(self) -> Stream:
        """A new stream."""

    @abstractmethod
    def event(self) -> Event:
        """A new event."""

    @abstractmethod
    def elapsed_ms(self, start: Event, end: Event) -> float:
        """Milliseconds of device time between two recorded events; waits for the second."""

    @abstractmethod
    def graph(self, stream: Stream, launch: Callable[[], None]) -> Graph:
        """What `launch` queues into `stream`, captured instead of run. What it copies must be page-locked."""

    @abstractmethod
    def close(self) -> None:
        """Release the device. Free all its resources before."""

    def to_device(self, buffer: DeviceBuffer, array: np.ndarray[Any, Any], stream: Stream) -> None:
        """Queue a copy of the whole array to the beginning of the buffer.

        A page-locked array must stay as it is until the stream got there. Raises BackendError for an array that does
        not lie in one piece in C order, or does not fit.
        """
        self._require_fitting(buffer, array)
        self._copy_to_device(buffer, array, stream)

    def to_host(self, array: np.ndarray[Any, Any], buffer: DeviceBuffer, stream: Stream) -> None:
        """Queue a copy of the beginning of the buffer that fills the array; see `to_device`."""
        self._require_fitting(buffer, array)
        if not array.flags.writeable:
            raise BackendError("device memory cannot be copied to an array that is read-only")
        self._copy_to_host(array, buffer, stream)

    @staticmethod
    def _require_fitting(buffer: DeviceBuffer, array: np.ndarray[Any, Any]) -> None:
        if not array.flags.c_contiguous:
            raise BackendError("an array that is not contiguous cannot be copied", "use np.ascontiguousarray")
        if array.nbytes > buffer.nbytes:
            raise BackendError("{} bytes do not fit a device buffer of {}".format(array.nbytes, buffer.nbytes))

    @abstractmethod
    def _copy_to_device(self, buffer: DeviceBuffer, array: np.ndarray[Any, Any], stream: Stream) -> None:
        """Queue the copy that `to_device` checked."""

    @abstractmethod
    def _copy_to_host(self, array: np.ndarray[Any, Any], buffer: DeviceBuffer, stream: Stream) -> None:
        """Queue the copy that `to_host` checked."""


def version_text(number: int) -> str:
    """A version as CUDA writes it: 12060 is "12.6"."""
    return "{}.{}".format(number // 1000, number % 1000 // 10)


def require_size(nbytes: int) -> None:
    """Raise BackendError unless so much memory can be requested."""
    if nbytes < 1:
        raise BackendError("{} bytes of memory cannot be allocated".format(nbytes))

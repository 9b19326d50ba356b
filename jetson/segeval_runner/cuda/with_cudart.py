"""Device memory through CUDA's runtime library alone, for devices where nothing can be compiled."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from ctypes import byref, c_float, c_int, c_void_p
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

import numpy as np

from segeval_runner.cuda.library import Library, working_library
from segeval_runner.cuda.memory import Cuda, DeviceBuffer, Event, Graph, Stream, require_size, version_text
from segeval_runner.errors import BackendError

DEVICE = 0
HOST_TO_DEVICE, DEVICE_TO_HOST = 1, 2
"""cudaMemcpyKind."""
NON_BLOCKING = 1
"""cudaStreamNonBlocking: the stream does not wait for the default stream."""
CAPTURE_THREAD_LOCAL = 1
"""cudaStreamCaptureModeThreadLocal: other threads may go on using CUDA while this one captures."""
CAPABILITY_MAJOR, CAPABILITY_MINOR, MULTIPROCESSORS = 75, 76, 16
"""cudaDevAttrComputeCapabilityMajor and Minor, cudaDevAttrMultiProcessorCount."""
PROPERTIES_BYTES = 65536
"""More than a cudaDeviceProp of any version, which grew and shrank from 0.7 to 1 KB between CUDA 11 and 13."""
NAME_BYTES = 256
"""The name is the first member of cudaDeviceProp in every version."""


class CudartBuffer(DeviceBuffer):
    """Memory of cudaMalloc."""

    def __init__(self, library: Library, nbytes: int) -> None:
        require_size(nbytes)
        self._library = library
        address = c_void_p()
        library.call("cudaMalloc", byref(address), nbytes)
        super().__init__(address.value, nbytes)

    @property
    def address(self) -> int:
        """See `DeviceBuffer`."""
        return int(self.thing)

    def _release(self, thing: Any) -> None:
        self._library.call("cudaFree", thing)


class CudartStream(Stream):
    """A cudaStream_t."""

    def __init__(self, library: Library) -> None:
        self._library = library
        handle = c_void_p()
        library.call("cudaStreamCreateWithFlags", byref(handle), NON_BLOCKING)
        super().__init__(handle.value)

    @property
    def handle(self) -> int:
        """See `Stream`."""
        return int(self.thing)

    def synchronize(self) -> None:
        """See `Stream`."""
        self._library.call("cudaStreamSynchronize", self.thing)

    def _release(self, thing: Any) -> None:
        self._library.call("cudaStreamDestroy", thing)


class CudartEvent(Event):
    """A cudaEvent_t that notes times."""

    def __init__(self, library: Library) -> None:
        self._library = library
        handle = c_void_p()
        library.call("cudaEventCreateWithFlags", byref(handle), 0)
        super().__init__(handle.value)

    def record(self, stream: Stream) -> None:
        """See `Event`."""
        self._library.call("cudaEventRecord", self.thing, stream.thing)

    def _release(self, thing: Any) -> None:
        self._library.call("cudaEventDestroy", thing)


class CudartGraph(Graph):
    """A cudaGraphExec_t."""

    def __init__(self, library: Library, captured: c_void_p) -> None:
        self._library = library
        handle = c_void_p()
        library.call("cudaGraphInstantiateWithFlags", byref(handle), captured, 0)
        super().__init__(handle.value)

    def launch(self, stream: Stream) -> None:
        """See `Graph`."""
        self._library.call("cudaGraphLaunch", self.thing, stream.thing)

    def _release(self, thing: Any) -> None:
        self._library.call("cudaGraphExecDestroy", thing)


class Cudart(Cuda):
    """Uses the primary context, as the runtime library does by itself. library: the best one found, if not given."""

    name = "cudart"

    def __init__(self, library: Optional[Library] = None) -> None:
        self._library = library or working_library()
        self._pinned: Dict[int, c_void_p] = {}
        self._library.call("cudaSetDevice", DEVICE)
        # Nothing is freed: before CUDA 12 the context is made by the first call that needs it.
        self._library.call("cudaFree", None)

    def device_name(self) -> str:
        """See `Cuda`."""
        properties = ctypes.create_string_buffer(PROPERTIES_BYTES)
        self._library.call("cudaGetDeviceProperties", properties, DEVICE)
        return properties.raw[:NAME_BYTES].partition(b"\0")[0].decode("utf-8", "replace")

    def compute_capability(self) -> Tuple[int, int]:
        """See `Cuda`."""
        return self._attribute(CAPABILITY_MAJOR), self._attribute(CAPABILITY_MINOR)

    def multiprocessors(self) -> int:
        """See `Cuda`."""
        return self._attribute(MULTIPROCESSORS)

    def driver(self) -> str:
        """See `Cuda`."""
        version = c_int()
        self._library.call("cudaDriverGetVersion", byref(version))
        return version_text(version.value)

    def _attribute(self, number: int) -> int:
        value = c_int()
        self._library.call("cudaDeviceGetAttribute", byref(value), number, DEVICE)
        return value.value

    def allocate(self, nbytes: int) -> CudartBuffer:
        """See `Cuda`."""
        return CudartBuffer(self._library, nbytes)

    def pinned(self, shape: Sequence[int], dtype: Any) -> np.ndarray[Any, Any]:
        """See `Cuda`."""
        kind = np.dtype(dtype)
        nbytes = int(np.prod(shape)) * kind.itemsize
        require_size(nbytes)
        pointer = c_void_p()
        self._library.call("cudaHostAlloc", byref(pointer), nbytes, 0)
        memory = (ctypes.c_ubyte * nbytes).from_address(int(pointer.value or 0))
        array: np.ndarray[Any, Any] = np.frombuffer(memory, dtype=kind).reshape(shape)
        self._pinned[array.ctypes.data] = pointer
        return array

    def free_pinned(self, array: np.ndarray[Any, Any]) -> None:
        """See `Cuda`."""
        pointer = self._pinned.pop(array.ctypes.data, None)
        if pointer is None:
            raise BackendError("this array is not page-locked memory of this device, or was freed already")
        self._library.call("cudaFreeHost", pointer)

    def stream(self) -> CudartStream:
        """See `Cuda`."""
        return CudartStream(self._library)

    def event(self) -> CudartEvent:
        """See `Cuda`."""
        return CudartEvent(self._library)

    def elapsed_ms(self, start: Event, end: Event) -> float:
        """See `Cuda`."""
        milliseconds = c_float()
        self._library.call("cudaEventSynchronize", end.thing)
        self._library.call("cudaEventElapsedTime", byref(milliseconds), start.thing, end.thing)
        return milliseconds.value

    def graph(self, stream: Stream, launch: Callable[[], None]) -> CudartGraph:
        """See `Cuda`."""
        self._library.call("cudaStreamBeginCapture", stream.thing, CAPTURE_THREAD_LOCAL)
        try:
            launch()
        except BaseException:
            # A stream that goes on capturing refuses everything else. What `launch` said matters more than this.
            with suppress(BackendError):
                self._library.call("cudaGraphDestroy", self._end_capture(stream))
            raise
        captured = self._end_capture(stream)
        try:
            return CudartGraph(self._library, captured)
        finally:
            self._library.call("cudaGraphDestroy", captured)

    def _end_capture(self, stream: Stream) -> c_void_p:
        captured = c_void_p()
        self._library.call("cudaStreamEndCapture", stream.thing, byref(captured))
        return captured

    def close(self) -> None:
        """See `Cuda`. The context is the process's and stays."""

    def _copy_to_device(self, buffer: DeviceBuffer, array: np.ndarray[Any, Any], stream: Stream) -> None:
        source, kind = array.ctypes.data, HOST_TO_DEVICE
        self._library.call("cudaMemcpyAsync", buffer.address, source, array.nbytes, kind, stream.thing)

    def _copy_to_host(self, array: np.ndarray[Any, Any], buffer: DeviceBuffer, stream: Stream) -> None:
        target, kind = array.ctypes.data, DEVICE_TO_HOST
        self._library.call("cudaMemcpyAsync", target, buffer.address, array.nbytes, kind, stream.thing)

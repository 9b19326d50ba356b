"""Device memory through pycuda, a wrapper of the CUDA driver that is compiled where it is installed."""

from __future__ import annotations

import atexit
import importlib
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Callable, Dict, Iterator, Sequence, Tuple

import numpy as np

from segeval_runner.cuda.memory import Cuda, DeviceBuffer, Event, Graph, Stream, require_size, version_text
from segeval_runner.errors import BackendError

INSTALL = "pip install pycuda compiles it with the CUDA toolkit's headers and a C++ compiler; or use --memory cudart"
NO_GRAPHS = ("pycuda cannot capture CUDA graphs", "use --memory auto or cudart, or leave --cuda-graph out")
"""As of 2026.1: what and what to do."""
NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING, which pycuda gives no name to: the stream does not wait for the default stream."""


def import_driver() -> Any:
    """pycuda's driver module. Raises BackendError if it is not installed or does not load."""
    try:
        return importlib.import_module("pycuda.driver")
    except ImportError as error:
        raise BackendError("pycuda cannot be used: {}".format(error), INSTALL) from error


@contextmanager
def explaining(driver: Any) -> Iterator[None]:
    """Turn pycuda's errors, which name the driver's function and what it said, into BackendError."""
    try:
        yield
    except driver.Error as error:
        raise BackendError("CUDA, through pycuda: {}".format(error)) from error


@lru_cache(maxsize=None)
def primary_context(driver: Any) -> Any:
    """The primary context of the first device, which TensorRT and ONNX Runtime use too, until the process ends.

    A context that is released while it is in use elsewhere, or left to pycuda's destructor (which takes it for a
    context of pycuda's own), stays on the thread's stack of contexts or is never released.
    """
    context = driver.Device(0).retain_primary_context()
    atexit.register(context.detach)
    return context


class PycudaBuffer(DeviceBuffer):
    """A pycuda DeviceAllocation."""

    def __init__(self, driver: Any, nbytes: int) -> None:
        require_size(nbytes)
        self._driver = driver
        with explaining(driver):
            super().__init__(driver.mem_alloc(nbytes), nbytes)

    @property
    def address(self) -> int:
        """See `DeviceBuffer`."""
        return int(self.thing)

    def _release(self, thing: Any) -> None:
        with explaining(self._driver):
            thing.free()


class PycudaStream(Stream):
    """A pycuda Stream. pycuda destroys it when its last reference goes."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        with explaining(driver):
            super().__init__(driver.Stream(NON_BLOCKING))

    @property
    def handle(self) -> int:
        """See `Stream`."""
        return int(self.thing.handle)

    def synchronize(self) -> None:
        """See `Stream`."""
        with explaining(self._driver):
            self.thing.synchronize()

    def _release(self, thing: Any) -> None:
        pass


class PycudaEvent(Event):
    """A pycuda Event. pycuda destroys it when its last reference goes."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        with explaining(driver):
            super().__init__(driver.Event())

    def record(self, stream: Stream) -> None:
        """See `Event`."""
        with explaining(self._driver):
            self.thing.record(stream.thing)

    def _release(self, thing: Any) -> None:
        pass


class Pycuda(Cuda):
    """Keeps the primary context current in the thread that made it, until `close`."""

    name = "pycuda"

    def __init__(self) -> None:
        self._driver = import_driver()
        self._pinned: Dict[int, Any] = {}
        with explaining(self._driver):
            self._driver.init()
            self._device = self._driver.Device(0)
            primary_context(self._driver).push()
        self._is_open = True

    def device_name(self) -> str:
        """See `Cuda`."""
        with explaining(self._driver):
            return str(self._device.name())

    def compute_capability(self) -> Tuple[int, int]:
        """See `Cuda`."""
        with explaining(self._driver):
            major, minor = self._device.compute_capability()
        return int(major), int(minor)

    def multiprocessors(self) -> int:
        """See `Cuda`."""
        with explaining(self._driver):
            return int(self._device.get_attribute(self._driver.device_attribute.MULTIPROCESSOR_COUNT))

    def driver(self) -> str:
        """See `Cuda`."""
        with explaining(self._driver):
            return version_text(int(self._driver.get_driver_version()))

    def allocate(self, nbytes: int) -> PycudaBuffer:
        """See `Cuda`."""
        return PycudaBuffer(self._driver, nbytes)

    def pinned(self, shape: Sequence[int], dtype: Any) -> np.ndarray[Any, Any]:
        """See `Cuda`."""
        require_size(int(np.prod(shape)) * np.dtype(dtype).itemsize)
        with explaining(self._driver):
            array: np.ndarray[Any, Any] = self._driver.pagelocked_empty(tuple(shape), dtype)
        self._pinned[array.ctypes.data] = array.base
        return array

    def free_pinned(self, array: np.ndarray[Any, Any]) -> None:
        """See `Cuda`."""
        allocation = self._pinned.pop(array.ctypes.data, None)
        if allocation is None:
            raise BackendError("this array is not page-locked memory of this device, or was freed already")
        with explaining(self._driver):
            allocation.free()

    def stream(self) -> PycudaStream:
        """See `Cuda`."""
        return PycudaStream(self._driver)

    def event(self) -> PycudaEvent:
        """See `Cuda`."""
        return PycudaEvent(self._driver)

    def elapsed_ms(self, start: Event, end: Event) -> float:
        """See `Cuda`."""
        with explaining(self._driver):
            end.thing.synchronize()
            return float(start.thing.time_till(end.thing))

    def graph(self, stream: Stream, launch: Callable[[], None]) -> Graph:
        """Raises BackendError: pycuda has no graphs (as of 2026.1)."""
        raise BackendError(*NO_GRAPHS)

    def close(self) -> None:
        """See `Cuda`."""
        if self._is_open:
            self._is_open = False
            with explaining(self._driver):
                self._driver.Context.pop()

    def _copy_to_device(self, buffer: DeviceBuffer, array: np.ndarray[Any, Any], stream: Stream) -> None:
        with explaining(self._driver):
            self._driver.memcpy_htod_async(buffer.address, array, stream.thing)

    def _copy_to_host(self, array: np.ndarray[Any, Any], buffer: DeviceBuffer, stream: Stream) -> None:
        with explaining(self._driver):
            self._driver.memcpy_dtoh_async(array, buffer.address, stream.thing)

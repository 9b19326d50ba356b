"""A device whose memory is the host's. Work waits in the stream until it is synchronized, as on a real one.

Runs on Python 3.8 too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from segeval_runner.cuda import Cuda, DeviceBuffer, Event, Graph, Stream
from segeval_runner.errors import BackendError


class FakeBuffer(DeviceBuffer):
    def __init__(self, cuda: FakeCuda, address: int, nbytes: int) -> None:
        super().__init__(address, nbytes)
        self._cuda = cuda
        cuda.memory[address] = np.zeros(nbytes, np.uint8)
        cuda.alive.add(self)

    @property
    def address(self) -> int:
        return int(self.thing)

    def _release(self, thing: Any) -> None:
        del self._cuda.memory[thing]
        self._cuda.alive.remove(self)


class FakeStream(Stream):
    def __init__(self, cuda: FakeCuda, handle: int) -> None:
        super().__init__(handle)
        self._cuda = cuda
        self.queue: list[Callable[[], None]] = []
        cuda.alive.add(self)

    @property
    def handle(self) -> int:
        return int(self.thing)

    def synchronize(self) -> None:
        while self.queue:
            self.queue.pop(0)()

    def _release(self, thing: Any) -> None:
        self._cuda.alive.remove(self)


class FakeEvent(Event):
    def __init__(self, cuda: FakeCuda) -> None:
        super().__init__(0)
        self._cuda = cuda
        self.time: int | None = None
        cuda.alive.add(self)

    def record(self, stream: Stream) -> None:
        assert isinstance(stream, FakeStream)
        stream.queue.append(self._note)

    def _note(self) -> None:
        self._cuda.clock += 1
        self.time = self._cuda.clock

    def _release(self, thing: Any) -> None:
        self._cuda.alive.remove(self)


class FakeGraph(Graph):
    def __init__(self, cuda: FakeCuda, work: list[Callable[[], None]]) -> None:
        super().__init__(0)
        self._cuda = cuda
        self.work = work
        cuda.alive.add(self)

    def launch(self, stream: Stream) -> None:
        assert isinstance(stream, FakeStream)
        self._cuda.launches += 1
        stream.queue.extend(self.work)

    def _release(self, thing: Any) -> None:
        self._cuda.alive.remove(self)


class FakeCuda(Cuda):
    """alive: what was taken and not given back.   clock: grows by one with every event."""

    name = "fake"

    def __init__(
        self,
        device: str = "Orin",
        capability: tuple[int, int] = (8, 7),
        multiprocessors: int = 8,
        driver: str = "12.6",
    ) -> None:
        self._device = device
        self._capability = capability
        self._multiprocessors = multiprocessors
        self._driver = driver
        self.memory: dict[int, np.ndarray[Any, Any]] = {}
        self.streams: dict[int, FakeStream] = {}
        self.alive: set[object] = set()
        self.page_locked: list[int] = []
        self.clock = self.launches = self.allocations = 0
        self.closed = False

    def device_name(self) -> str:
        return self._device

    def compute_capability(self) -> tuple[int, int]:
        return self._capability

    def multiprocessors(self) -> int:
        return self._multiprocessors

    def driver(self) -> str:
        return self._driver

    def allocate(self, nbytes: int) -> DeviceBuffer:
        self.allocations += 1
        return FakeBuffer(self, 0x1000 * self.allocations, nbytes)

    def pinned(self, shape: Sequence[int], dtype: Any) -> np.ndarray[Any, Any]:
        array = np.zeros(tuple(shape), dtype)
        self.page_locked.append(id(array))
        return array

    def free_pinned(self, array: np.ndarray[Any, Any]) -> None:
        self.page_locked.remove(id(array))

    def stream(self) -> Stream:
        stream = FakeStream(self, 0x77 + len(self.streams))
        self.streams[stream.handle] = stream
        return stream

    def event(self) -> Event:
        return FakeEvent(self)

    def elapsed_ms(self, start: Event, end: Event) -> float:
        assert isinstance(start, FakeEvent) and isinstance(end, FakeEvent)
        if start.time is None or end.time is None:
            raise BackendError("an event that was not recorded has no time")
        return float(end.time - start.time)

    def graph(self, stream: Stream, launch: Callable[[], None]) -> Graph:
        assert isinstance(stream, FakeStream)
        assert not stream.queue, "the stream must be idle before a capture, or the graph would hold earlier work"
        launch()
        work, stream.queue = stream.queue, []
        return FakeGraph(self, work)

    def close(self) -> None:
        assert not self.alive, f"closed with {self.alive} still there"
        assert not self.page_locked, "closed with page-locked memory"
        self.closed = True

    def _copy_to_device(self, buffer: DeviceBuffer, array: np.ndarray[Any, Any], stream: Stream) -> None:
        assert isinstance(stream, FakeStream) and id(array) in self.page_locked
        place = self.memory[buffer.address]
        stream.queue.append(lambda: np.copyto(place, array.reshape(-1).view(np.uint8)))

    def _copy_to_host(self, array: np.ndarray[Any, Any], buffer: DeviceBuffer, stream: Stream) -> None:
        assert isinstance(stream, FakeStream) and id(array) in self.page_locked
        place = self.memory[buffer.address]
        stream.queue.append(lambda: np.copyto(array.reshape(-1).view(np.uint8), place))

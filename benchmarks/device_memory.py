"""Whether both ways to a GPU's memory work on this machine, agree with each other, and how fast they are.

    python benchmarks/device_memory.py [--megabytes 64] [--repeat 20]

Runs every way that is installed (docs/device-memory.md). Exits with 0 if all that was checked is right, 1 if something
is wrong, 2 if no way reaches a GPU.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval_runner.cuda import Cuda, Stream, open_cuda
from segeval_runner.errors import BackendError

WAYS = ("pycuda", "cudart")
SIZES = (1, 4095, 1 << 20, 12_345_677)
"""Bytes of a round trip: the least, off a page, whole pages, odd and large."""
COPIES = 8
"""Copies in a graph."""
Bytes = NDArray[np.uint8]


class DeviceError(Exception):
    """Something that a device must do and did not."""


def require(holds: bool, what: str) -> None:
    """Raise DeviceError unless it holds."""
    if not holds:
        raise DeviceError(what)


@contextmanager
def given_back(thing: Any) -> Iterator[Any]:
    """A buffer, stream, event or graph for a while."""
    try:
        yield thing
    finally:
        thing.destroy()


@contextmanager
def page_locked(cuda: Cuda, nbytes: int) -> Iterator[Bytes]:
    """Page-locked bytes for a while."""
    array = cuda.pinned((nbytes,), np.uint8)
    try:
        yield array
    finally:
        cuda.free_pinned(array)


def random_bytes(nbytes: int) -> Bytes:
    """The same for the same size."""
    return np.random.default_rng(nbytes).integers(0, 256, nbytes, dtype=np.uint8)


def round_trips(cuda: Cuda, stream: Stream) -> None:
    """Random bytes there and back, from page-locked and from ordinary memory."""
    for nbytes in SIZES:
        expected = random_bytes(nbytes)
        with given_back(cuda.allocate(nbytes)) as buffer, page_locked(cuda, nbytes) as locked:
            locked[:] = expected
            for there, back in ((locked, np.zeros(nbytes, np.uint8)), (expected, locked)):
                cuda.to_device(buffer, there, stream)
                stream.synchronize()
                back[:] = 0
                cuda.to_host(back, buffer, stream)
                stream.synchronize()
                require(np.array_equal(back, expected), f"{nbytes} bytes did not come back as they went")
    print(f"  round trips of {', '.join(map(str, SIZES))} bytes: right")


def timed(cuda: Cuda, stream: Stream, repeat: int, queue: Callable[[], None]) -> tuple[float, float]:
    """Milliseconds of `repeat` times what `queue` queues: by events and by the clock on the wall."""
    queue()
    stream.synchronize()
    with given_back(cuda.event()) as start, given_back(cuda.event()) as end:
        began = time.perf_counter()
        start.record(stream)
        for _ in range(repeat):
            queue()
        end.record(stream)
        stream.synchronize()
        wall = (time.perf_counter() - began) * 1e3
        return cuda.elapsed_ms(start, end), wall


def bandwidth(cuda: Cuda, stream: Stream, nbytes: int, repeat: int) -> None:
    """GB/s in both directions; the time of the events must lie within the time that passed."""
    with given_back(cuda.allocate(nbytes)) as buffer, page_locked(cuda, nbytes) as locked:
        locked[:] = 1
        for name, array in (("page-locked", locked), ("ordinary", np.ones(nbytes, np.uint8))):
            up = timed(cuda, stream, repeat, lambda array=array: cuda.to_device(buffer, array, stream))  # type: ignore[misc]
            down = timed(cuda, stream, repeat, lambda array=array: cuda.to_host(array, buffer, stream))  # type: ignore[misc]
            for direction, (events, wall) in (("to the device", up), ("to the host", down)):
                rate = nbytes * repeat / 1e6 / max(events, 1e-6)
                print(
                    f"  {name} memory {direction}: {rate:.2f} GB/s ({events:.3f} ms by events, {wall:.3f} ms by wall)"
                )
                require(0 < events <= wall * 1.02 + 0.05, "events tell more time than passed, or none")


def graphs(cuda: Cuda, stream: Stream, repeat: int) -> None:
    """A graph of copies does the same as the copies, with the contents that memory has at each launch."""
    with (
        given_back(cuda.allocate(COPIES * 256)) as buffer,
        page_locked(cuda, 256) as there,
        page_locked(cuda, 256) as back,
    ):

        def queue() -> None:
            for _ in range(COPIES):
                cuda.to_device(buffer, there, stream)
                cuda.to_host(back, buffer, stream)

        try:
            graph = cuda.graph(stream, queue)
        except BackendError as error:
            print(f"  graphs: none ({error.what})")
            return
        with given_back(graph):
            for value in (1, 2):
                there[:], back[:] = value, 0
                graph.launch(stream)
                stream.synchronize()
                require(bool(np.all(back == value)), "a graph did not copy what memory held when it was launched")
            alone, _ = timed(cuda, stream, repeat, queue)
            whole, _ = timed(cuda, stream, repeat, lambda: graph.launch(stream))
        print(f"  {2 * COPIES} small copies: {alone / repeat:.4f} ms one by one, {whole / repeat:.4f} ms as a graph")


def interchange(writer: Cuda, reader: Cuda) -> None:
    """What one way wrote is read through the other: both use the same context, as an engine between them needs."""
    expected, back = random_bytes(4096), np.zeros(4096, np.uint8)
    with ExitStack() as taken:
        first = taken.enter_context(given_back(writer.stream()))
        second = taken.enter_context(given_back(reader.stream()))
        buffer = taken.enter_context(given_back(writer.allocate(expected.nbytes)))
        writer.to_device(buffer, expected, first)
        first.synchronize()
        reader.to_host(back, buffer, second)
        second.synchronize()
    require(np.array_equal(back, expected), f"{reader.name} read something else than {writer.name} wrote")


def check(way: str, nbytes: int, repeat: int) -> bool:
    """Check one way. Returns whether it reaches a device."""
    for _ in range(2):  # what one engine closes, the next one opens
        try:
            cuda = open_cuda(way)
        except BackendError as error:
            print(f"{way}: not here: {error.what}\n  {error.hint}")
            return False
        with ExitStack() as taken:
            taken.callback(cuda.close)
            stream = taken.enter_context(given_back(cuda.stream()))
            capability = ".".join(map(str, cuda.compute_capability()))
            print(f"{way}: {cuda.device_name()}, compute capability {capability}")
            round_trips(cuda, stream)
            bandwidth(cuda, stream, nbytes, repeat)
            graphs(cuda, stream, repeat)
    return True


def agreement() -> None:
    """Both ways at the same time, on the same device."""
    with ExitStack() as taken:
        both = []
        for way in WAYS:
            both.append(open_cuda(way))
            taken.callback(both[-1].close)
        names = [(cuda.device_name(), cuda.compute_capability()) for cuda in both]
        require(names[0] == names[1], f"the ways name different devices: {names}")
        interchange(*both)
        interchange(*reversed(both))
    print("both: the same device, and each reads what the other wrote")


def main() -> int:
    """Check and print; see the exit codes above."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--megabytes", type=int, default=64, help="size of the copies that are timed (default: 64)")
    options.add_argument("--repeat", type=int, default=20, help="copies that are timed (default: 20)")
    given = options.parse_args()
    try:
        working = [way for way in WAYS if check(way, given.megabytes << 20, given.repeat)]
        if len(working) == len(WAYS):
            agreement()
    except (DeviceError, BackendError) as error:
        print(f"WRONG: {error}", file=sys.stderr)
        return 1
    if not working:
        print("no GPU was reached: nothing was checked", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

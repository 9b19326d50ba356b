"""What both implementations must do, run on a device made of host memory."""

import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from segeval_runner.cuda import Cuda
from segeval_runner.errors import BackendError
from tests.runner.cuda.conftest import HostDevice

GARBAGE = 0xAA
"""What memory holds that nobody wrote to."""


def random_bytes(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.random.default_rng(len(shape)).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", [(1,), (4097,), (2, 33, 65, 3), (1, 512, 1024, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_bytes_return_as_they_went(cuda: Cuda, shape: tuple[int, ...], dtype: Any) -> None:
    expected = random_bytes((*shape, np.dtype(dtype).itemsize)).view(dtype)[..., 0]
    there, back, stream = cuda.pinned(shape, dtype), cuda.pinned(shape, dtype), cuda.stream()
    buffer = cuda.allocate(there.nbytes)
    assert (there.shape, there.dtype) == (shape, np.dtype(dtype))
    there[...] = expected
    cuda.to_device(buffer, there, stream)
    cuda.to_host(back, buffer, stream)
    assert np.all(back.view(np.uint8) == GARBAGE), "a copy is queued, not made at once"
    stream.synchronize()
    assert np.array_equal(back, expected)
    buffer.free()
    stream.destroy()
    cuda.free_pinned(there)
    cuda.free_pinned(back)


def test_ordinary_arrays_can_be_copied_and_may_be_smaller_than_the_buffer(cuda: Cuda) -> None:
    buffer, stream = cuda.allocate(1000), cuda.stream()
    there, back = random_bytes((100,)), np.zeros(100, np.uint8)
    cuda.to_device(buffer, there, stream)
    cuda.to_host(back, buffer, stream)
    stream.synchronize()
    assert np.array_equal(back, there)
    buffer.free()
    stream.destroy()


def test_what_cannot_be_copied_is_refused(cuda: Cuda) -> None:
    buffer, stream = cuda.allocate(100), cuda.stream()
    read_only = np.zeros(4, np.uint8)
    read_only.flags.writeable = False
    for array in (np.zeros((10, 10), np.uint8)[:, :5], np.asfortranarray(np.zeros((4, 4), np.uint8))):
        with pytest.raises(BackendError, match="is not contiguous") as refused:
            cuda.to_device(buffer, array, stream)
        assert "ascontiguousarray" in refused.value.hint
        with pytest.raises(BackendError, match="is not contiguous"):
            cuda.to_host(array, buffer, stream)
    with pytest.raises(BackendError, match="101 bytes do not fit a device buffer of 100"):
        cuda.to_device(buffer, np.zeros(101, np.uint8), stream)
    with pytest.raises(BackendError, match="104 bytes do not fit a device buffer of 100"):
        cuda.to_host(np.zeros(26, np.int32), buffer, stream)
    with pytest.raises(BackendError, match="read-only"):
        cuda.to_host(read_only, buffer, stream)
    buffer.free()
    stream.destroy()


def test_everything_is_given_back_once_and_not_used_afterwards(cuda: Cuda, device: HostDevice) -> None:
    buffer, stream, event, array = cuda.allocate(8), cuda.stream(), cuda.event(), cuda.pinned((8,), np.uint8)
    assert device.held() == {"device memory": 1, "page-locked memory": 1, "streams": 1, "events": 1}
    for _ in range(2):
        buffer.free()
        event.destroy()
    assert device.held() == {"page-locked memory": 1, "streams": 1}
    with pytest.raises(BackendError, match="this device buffer was already released"):
        cuda.to_device(buffer, array, stream)
    with pytest.raises(BackendError, match="this event was already released"):
        event.record(stream)
    cuda.free_pinned(array)
    stream.destroy()
    stream.destroy()
    assert device.held() == {}
    with pytest.raises(BackendError, match="this stream was already released"):
        stream.synchronize()


def test_only_page_locked_memory_is_freed_as_such(cuda: Cuda) -> None:
    array = cuda.pinned((2, 3), np.int32)
    view = array[1:]
    for foreign in (np.zeros(3), view):
        with pytest.raises(BackendError, match="not page-locked memory"):
            cuda.free_pinned(foreign)
    cuda.free_pinned(array)
    with pytest.raises(BackendError, match="freed already"):
        cuda.free_pinned(array)


@pytest.mark.parametrize("nbytes", [0, -1])
def test_no_memory_is_not_an_amount(cuda: Cuda, nbytes: int) -> None:
    with pytest.raises(BackendError, match=f"{nbytes} bytes of memory cannot be allocated"):
        cuda.allocate(nbytes)
    with pytest.raises(BackendError, match="0 bytes of memory"):
        cuda.pinned((0, 4), np.uint8)


def test_too_much_memory_is_an_error_in_words(cuda: Cuda) -> None:
    with pytest.raises(BackendError, match="out of memory"):
        cuda.allocate(2**40)
    with pytest.raises(BackendError, match="out of memory"):
        cuda.pinned((2**40,), np.uint8)


def test_events_tell_the_time_between_them(cuda: Cuda) -> None:
    stream, start, end = cuda.stream(), cuda.event(), cuda.event()
    buffer, array = cuda.allocate(8), np.zeros(8, np.uint8)
    start.record(stream)
    stream.synchronize()
    time.sleep(0.05)
    cuda.to_device(buffer, array, stream)
    end.record(stream)
    measured = cuda.elapsed_ms(start, end)  # waits for `end` by itself
    assert 50 <= measured < 5000
    for each in (stream, start, end, buffer):
        each.destroy()


def test_an_event_that_was_never_recorded_has_no_time(cuda: Cuda) -> None:
    start, end = cuda.event(), cuda.event()
    with pytest.raises(BackendError, match="invalid resource handle"):
        cuda.elapsed_ms(start, end)
    start.destroy()
    end.destroy()


def test_addresses_and_handles_are_plain_numbers(cuda: Cuda) -> None:
    first, second, stream = cuda.allocate(64), cuda.allocate(64), cuda.stream()
    assert isinstance(first.address, int) and isinstance(stream.handle, int)
    assert stream.handle != 0 and abs(first.address - second.address) >= 64
    for each in (first, second, stream):
        each.destroy()


def test_the_device_says_what_it_is(cuda: Cuda) -> None:
    assert cuda.device_name() == "Host, in place of a device"
    assert cuda.compute_capability() == (8, 7)
    assert (cuda.multiprocessors(), cuda.driver()) == (14, "12.6")

"""A call of a model: copies, order, times, and what happens when a part of it fails."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from segeval_runner.cuda import Cuda
from segeval_runner.cuda.call import STAGES, DeviceCall, device_facts
from segeval_runner.cuda.with_cudart import Cudart
from segeval_runner.errors import BackendError
from tests.runner.cuda.conftest import HostDevice

SHAPE = (2, 5, 7)
RNG = np.random.default_rng(0)


def test_images_go_there_and_labels_come_back(cuda: Cuda) -> None:
    call = DeviceCall(cuda, SHAPE)
    for _ in range(2):
        images = RNG.integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
        expected = RNG.integers(0, 19, SHAPE, dtype=np.int32)
        seen = np.zeros_like(images)

        def compute(labels: NDArray[np.int32] = expected, seen: NDArray[np.uint8] = seen) -> None:
            cuda.to_host(seen, call.images, call.stream)
            cuda.to_device(call.labels, labels, call.stream)

        labels = call.run(images, compute)
        assert np.array_equal(seen, images)
        assert labels.dtype == np.int32 and np.array_equal(labels, expected)
        stages = call.stages()
        assert tuple(stages) == STAGES and all(0 <= value < 1000 for value in stages.values())
    again = call.run(images, lambda: None)
    assert again is not labels and not np.shares_memory(again, labels), "a result is not overwritten by the next call"
    call.close()


def test_images_of_another_type_are_not_converted_in_silence(open_cudart: Callable[[], Cudart]) -> None:
    call = DeviceCall(open_cudart(), SHAPE)
    with pytest.raises(BackendError, match="float32"):
        call.run(np.zeros((*SHAPE, 3), np.float32), lambda: None)
    with pytest.raises(BackendError, match=r"\(5, 7, 3\)"):
        call.run(np.zeros((5, 7, 3), np.uint8), lambda: None)
    call.close()


def test_it_says_how_it_reached_the_device(cuda: Cuda) -> None:
    expected = {
        "memory": cuda.name,
        "gpu": "Host, in place of a device",
        "compute_capability": "8.7",
        "multiprocessors": 14,
        "cuda_driver": "12.6",
    }
    assert device_facts(cuda) == expected


@pytest.mark.parametrize(
    ("function", "nth"),
    [("cudaHostAlloc", 1), ("cudaHostAlloc", 2), ("cudaMalloc", 1), ("cudaMalloc", 2), ("cudaStreamCreateWithFlags", 1)]
    + [("cudaEventCreateWithFlags", number) for number in (1, 4)],
)
def test_a_call_that_cannot_be_made_holds_nothing(
    open_cudart: Callable[[], Cudart], device: HostDevice, function: str, nth: int
) -> None:
    cuda = open_cudart()
    device.fail_on(function, 2, nth)
    with pytest.raises(BackendError, match=f"{function}: out of memory"):
        DeviceCall(cuda, SHAPE)
    assert device.held() == {}


def test_a_model_that_fails_does_not_hinder_the_next_call(
    open_cudart: Callable[[], Cudart], device: HostDevice
) -> None:
    call = DeviceCall(open_cudart(), SHAPE)
    images = np.zeros((*SHAPE, 3), np.uint8)

    def fails() -> None:
        raise BackendError("the model failed")

    with pytest.raises(BackendError, match="the model failed"):
        call.run(images, fails)
    device.fail_on("cudaStreamSynchronize", 719)
    with pytest.raises(BackendError, match="cudaStreamSynchronize"):
        call.run(images, lambda: None)
    assert call.run(images, lambda: None).shape == SHAPE
    call.close()

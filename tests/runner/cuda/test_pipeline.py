"""Two calls of a model at once: order, separate memory, and what becomes of a call that was not waited for."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from segeval_runner.cuda import Cuda
from segeval_runner.cuda.call import DeviceCall
from segeval_runner.cuda.pipeline import Lane, Pipeline
from segeval_runner.cuda.with_cudart import Cudart
from segeval_runner.errors import BackendError
from tests.runner.cuda.conftest import HostDevice

SHAPE = (1, 4, 6)


def pictures(number: int) -> NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)


class Model:
    """Hands the bytes of the images on as labels, padded with zeros; they pass through `between` on the host."""

    def __init__(self, cuda: Cuda) -> None:
        self.cuda = cuda
        self.calls = [DeviceCall(cuda, SHAPE) for _ in range(2)]
        self.between = [np.zeros((*SHAPE, 4), np.uint8) for _ in self.calls]
        self.lanes = [Lane(call, self.queueing(number)) for number, call in enumerate(self.calls)]

    def queueing(self, number: int) -> Callable[[], None]:
        call, between = self.calls[number], self.between[number]
        flat = between.reshape(-1)

        def compute() -> None:
            self.cuda.to_host(flat[: call.images.nbytes], call.images, call.stream)
            self.cuda.to_device(call.labels, between, call.stream)

        return compute

    def close(self) -> None:
        for call in self.calls:
            call.close()


def labels_of(number: int) -> NDArray[Any]:
    padded = np.zeros(int(np.prod(SHAPE)) * 4, np.uint8)
    padded[: int(np.prod(SHAPE)) * 3] = pictures(number).reshape(-1)
    return padded.view(np.int32).reshape(SHAPE)


@pytest.fixture
def model(cuda: Cuda) -> Iterator[Model]:
    made = Model(cuda)
    yield made
    made.close()


def test_every_answer_is_that_of_the_call_that_was_begun_first(model: Model) -> None:
    pipeline = Pipeline(model.lanes)
    pipeline.begin(pictures(0))
    for number in range(1, 6):
        pipeline.begin(pictures(number))
        assert np.array_equal(pipeline.finish(), labels_of(number - 1))
    assert np.array_equal(pipeline.finish(), labels_of(5))


def test_nothing_waits_before_it_is_finished(model: Model) -> None:
    pipeline = Pipeline(model.lanes)
    pipeline.begin(pictures(0))
    pipeline.begin(pictures(1))
    assert not model.between[0].any() and not model.between[1].any(), "both are queued, and neither was waited for"
    pipeline.finish()
    assert model.between[0].any() and not model.between[1].any(), "the second goes on in a stream of its own"
    pipeline.finish()


def test_more_calls_than_lanes_are_refused(model: Model) -> None:
    pipeline = Pipeline(model.lanes)
    pipeline.begin(pictures(0))
    pipeline.begin(pictures(1))
    with pytest.raises(BackendError, match="while 2 were not finished"):
        pipeline.begin(pictures(2))
    pipeline.drain()
    assert model.between[0].any() and model.between[1].any()
    pipeline.begin(pictures(2))
    assert np.array_equal(pipeline.finish(), labels_of(2))


def test_a_call_that_failed_does_not_keep_the_others_from_their_end(
    open_cudart: Callable[[], Cudart], device: HostDevice
) -> None:
    model = Model(open_cudart())
    pipeline = Pipeline(model.lanes)
    pipeline.begin(pictures(0))
    pipeline.begin(pictures(1))
    device.fail_on("cudaStreamSynchronize", 719)
    pipeline.drain()
    assert model.between[1].any()
    model.close()

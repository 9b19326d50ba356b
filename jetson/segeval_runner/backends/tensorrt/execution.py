"""An engine at work on the memory of a call."""

from __future__ import annotations

from typing import Callable, Optional, Tuple

from segeval_runner.backends.tensorrt.library import trt
from segeval_runner.backends.tensorrt.log import Log
from segeval_runner.cuda import Cuda, Graph
from segeval_runner.cuda.call import DeviceCall
from segeval_runner.errors import BackendError


class Execution:
    """Queues a network into the stream of a call, reading its images and filling its labels.

    shape: (N, H, W).   as_graph: launch the network as one CUDA graph instead of kernel by kernel; the copies stay
    outside, so that they can be timed. Raises BackendError for an engine with other tensors, and where memory does not
    suffice.
    """

    def __init__(
        self,
        cuda: Cuda,
        call: DeviceCall,
        engine: trt.ICudaEngine,
        log: Log,
        shape: Tuple[int, int, int],
        as_graph: bool,
    ) -> None:
        require_tensors(engine, shape)
        self._call = call
        self._log = log
        context = engine.create_execution_context()
        if context is None:
            raise BackendError("no memory on the device to run the engine{}".format(log.told()))
        for name, buffer in (("image", call.images), ("labels", call.labels)):
            if not context.set_tensor_address(name, buffer.address):
                raise BackendError("TensorRT takes no memory for {}{}".format(name, log.told()))
        self._context = context
        self._graph: Optional[Graph] = self._captured(cuda) if as_graph else None

    def _captured(self, cuda: Cuda) -> Graph:
        """The network as a graph. The call before it prepares what may not happen while a graph is captured."""
        self._enqueue()
        self._call.stream.synchronize()
        return cuda.graph(self._call.stream, self._enqueue)

    def _enqueue(self) -> None:
        if not self._context.execute_async_v3(self._call.stream.handle):
            raise BackendError("TensorRT failed{}".format(self._log.told()))

    @property
    def compute(self) -> Callable[[], None]:
        """For `DeviceCall.run`. Raises BackendError if TensorRT or the device refuses."""
        graph, stream = self._graph, self._call.stream
        return self._enqueue if graph is None else lambda: graph.launch(stream)

    def close(self) -> None:
        """Give back the graph and the context."""
        if self._graph is not None:
            self._graph.destroy()
        del self._context


def require_tensors(engine: trt.ICudaEngine, shape: Tuple[int, int, int]) -> None:
    """Raise BackendError unless the engine has the tensors of a deployed file and no others."""
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    found = {
        name: (engine.get_tensor_mode(name), engine.get_tensor_dtype(name), tuple(engine.get_tensor_shape(name)))
        for name in names
    }
    expected = {
        "image": (trt.TensorIOMode.INPUT, trt.DataType.UINT8, (*shape, 3)),
        "labels": (trt.TensorIOMode.OUTPUT, trt.DataType.INT32, shape),
    }
    if found != expected:
        raise BackendError("the engine's tensors are {}, not {}".format(found, expected))

"""An engine at work on the memory of a call."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Tuple

import numpy as np

from segeval_runner.backends.backend import Settings
from segeval_runner.backends.tensorrt.contexts import Contexts
from segeval_runner.backends.tensorrt.cutting import NETWORK_OUTPUT
from segeval_runner.backends.tensorrt.library import trt
from segeval_runner.backends.tensorrt.log import Log
from segeval_runner.backends.tensorrt.profiler import Profiler
from segeval_runner.cuda import Cuda, DeviceBuffer, Graph
from segeval_runner.cuda.call import DeviceCall, contract
from segeval_runner.errors import BackendError

FLOAT_BYTES = 4


class Execution:
    """Queues a network into the stream of a call, reading its images and filling its labels.

    A network `without_argmax` gets memory of its own for its logits, and nobody writes the labels. Raises BackendError
    for an engine with other tensors, and where memory does not suffice.

    Attributes:
        shape: (N, H, W).
        settings: with `cuda_graph` the network is launched as one CUDA graph instead of kernel by kernel; the copies
            stay outside, so that they can be timed.
    """

    def __init__(
        self,
        cuda: Cuda,
        call: DeviceCall,
        contexts: Contexts,
        log: Log,
        shape: Tuple[int, int, int],
        settings: Settings,
    ) -> None:
        self._logits: Optional[DeviceBuffer] = None
        self._graph: Optional[Graph] = None
        self._cuda = cuda
        self._call = call
        self._contexts = contexts
        self._log = log
        self._shape = shape
        self._settings = settings
        size = 0
        if settings.without_argmax:
            self._logits_shape = logits_shape(contexts.engine, shape)
            size = FLOAT_BYTES * int(np.prod(self._logits_shape))
        elif call.ends == contract(shape):
            require_tensors(contexts.engine, shape)
        context = contexts.new()
        if context is None:
            raise BackendError("no memory on the device to run the engine{}".format(log.told()))
        self._context = context
        try:
            output = (call.ends.labels.name, call.labels)
            if size:
                self._logits = cuda.allocate(size)
                output = (NETWORK_OUTPUT, self._logits)
            for name, buffer in ((call.ends.images.name, call.images), output):
                if not context.set_tensor_address(name, buffer.address):
                    raise BackendError("TensorRT takes no memory for {}{}".format(name, log.told()))
            if settings.cuda_graph:
                self._graph = self._captured()
        except BaseException:
            self.close()
            raise

    def beside(self, call: DeviceCall) -> Execution:
        """The same engine on the memory of another call: both can be under way at once. Raises BackendError."""
        return Execution(self._cuda, call, self._contexts, self._log, self._shape, self._settings)

    def _captured(self) -> Graph:
        """The network as a graph. The call before it prepares what may not happen while a graph is captured."""
        self._enqueue()
        self._call.stream.synchronize()
        return self._cuda.graph(self._call.stream, self._enqueue)

    def _enqueue(self) -> None:
        if not self._context.execute_async_v3(self._call.stream.handle):
            raise BackendError("TensorRT failed{}".format(self._log.told()))

    @property
    def compute(self) -> Callable[[], None]:
        """For `DeviceCall.run`. Raises BackendError if TensorRT or the device refuses."""
        graph, stream = self._graph, self._call.stream
        return self._enqueue if graph is None else lambda: graph.launch(stream)

    def profiled(self, profiler: Profiler) -> Callable[[], None]:
        """As `compute`, layer by layer and timed, even where there is a graph. From now on TensorRT tells `profiler`,
        which must live as long as this does."""
        self._context.profiler = profiler
        return self._enqueue

    def logits(self) -> np.ndarray[Any, Any]:
        """float32 (N, C, H, W) of the latest call of a network `without_argmax`."""
        if self._logits is None:
            raise BackendError("the engine ends with labels", "ask for it without its ArgMax")
        found = self._cuda.pinned(self._logits_shape, np.float32)
        try:
            self._cuda.to_host(found, self._logits, self._call.stream)
            self._call.stream.synchronize()
            return found.copy()
        finally:
            self._cuda.free_pinned(found)

    def close(self) -> None:
        """Give back the graph, the context and the memory."""
        if self._graph is not None:
            self._graph.destroy()
        del self._context, self._contexts
        if self._logits is not None:
            self._logits.free()


def require_tensors(engine: trt.ICudaEngine, shape: Tuple[int, int, int]) -> None:
    """Raise BackendError unless the engine has the tensors of a deployed file and no others."""
    expected = {
        "image": (trt.TensorIOMode.INPUT, trt.DataType.UINT8, (*shape, 3)),
        "labels": (trt.TensorIOMode.OUTPUT, trt.DataType.INT32, shape),
    }
    found = tensors(engine)
    if found != expected:
        raise BackendError("the engine's tensors are {}, not {}".format(found, expected))


def logits_shape(engine: trt.ICudaEngine, shape: Tuple[int, int, int]) -> Tuple[int, ...]:
    """(N, C, H, W) of the logits of an engine without ArgMax. Raises BackendError if it has other tensors."""
    found = tensors(engine)
    mode, kind, sizes = found.get(NETWORK_OUTPUT, (None, None, ()))
    fits = (sizes[:1], sizes[2:]) == (shape[:1], shape[1:])
    if (mode, kind) != (trt.TensorIOMode.OUTPUT, trt.DataType.FLOAT) or not fits:
        raise BackendError("the engine's tensors are {}, without float logits of {}".format(found, shape))
    return sizes


def tensors(engine: trt.ICudaEngine) -> Dict[str, Tuple[Any, Any, Tuple[int, ...]]]:
    """Mode, type and shape of an engine's inputs and outputs."""
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    return {
        name: (engine.get_tensor_mode(name), engine.get_tensor_dtype(name), tuple(engine.get_tensor_shape(name)))
        for name in names
    }

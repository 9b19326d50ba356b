"""The backend: versions, devices and engines put together. Imports TensorRT only when it is asked for."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Optional

import numpy as np

from segeval_runner.backends import arithmetic
from segeval_runner.backends.backend import Backend, LayerTime
from segeval_runner.backends.tensorrt import library
from segeval_runner.backends.tensorrt.board import board
from segeval_runner.backends.tensorrt.inspector import LONGEST
from segeval_runner.backends.tensorrt.versions import takes_flags
from segeval_runner.cuda import open_cuda
from segeval_runner.cuda.call import DeviceCall
from segeval_runner.cuda.pipeline import Lane, Pipeline

if TYPE_CHECKING:
    import tensorrt as trt

    from segeval_runner.backends.tensorrt.contexts import Contexts


class TensorRT(Backend):
    """TensorRT on the first visible GPU, or on a deep learning accelerator of it with what it cannot do on the GPU."""

    name = "tensorrt"
    package = "tensorrt"
    module = "tensorrt"
    contract = 2
    calls_ahead = tells_layers = cuts_argmax = True

    @classmethod
    def version(cls) -> str:
        """See `Backend`."""
        return str(library.load(cls.module).__version__)

    @classmethod
    def takes_flags(cls) -> bool:
        """See `Backend`."""
        return takes_flags(library.load(cls.module))

    def activate(self) -> None:
        """See `Backend`. Builds the engine if it is not in the cache, which takes minutes."""
        library.use(self.module)
        from segeval_runner.backends.tensorrt.engine import engine_of
        from segeval_runner.backends.tensorrt.execution import Execution
        from segeval_runner.backends.tensorrt.log import the_log

        log, job, settings = the_log(), self.job, self.settings
        log.forget()
        with ExitStack() as taken:
            cuda = open_cuda(settings.memory, settings.cuda_graph)
            taken.callback(cuda.close)
            self._cuda = cuda
            self._call = DeviceCall(cuda, job.shape)
            taken.callback(self._call.close)
            device = {**self._call.facts(), **board()}
            engine, facts = engine_of(job, settings, device, log, self.report)
            contexts = self.contexts(engine, {**device, **facts})
            taken.callback(contexts.close)
            self._execution = Execution(cuda, self._call, contexts, log, job.shape, settings)
            taken.callback(self._execution.close)
            ran = job.fallback if job.fallback is not None and "fallback" in facts else job
            computes = arithmetic.tensorrt(ran.precision, facts["typing"] == "weak")
            self._facts = {**device, **facts, "cuda_graph": settings.cuda_graph, "arithmetic": computes}
            self._taken = taken.pop_all()

    def contexts(self, engine: trt.ICudaEngine, facts: Dict[str, Any]) -> Contexts:
        """Where the contexts of an engine come from.

        Args:
            engine: as it was loaded.
            facts: of the engine and the device that it runs on.
        """
        from segeval_runner.backends.tensorrt.contexts import Contexts

        return Contexts(engine)

    def infer(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """See `Backend`."""
        return self._call.run(images, self._execution.compute)

    @contextmanager
    def pipeline(self) -> Iterator[Pipeline]:
        """See `Backend`: the engine twice, each with a context, memory and a stream of its own."""
        with ExitStack() as taken:
            call = DeviceCall(self._cuda, self.job.shape)
            taken.callback(call.close)
            execution = self._execution.beside(call)
            taken.callback(execution.close)
            lanes = Pipeline([Lane(self._call, self._execution.compute), Lane(call, execution.compute)])
            taken.callback(lanes.drain)
            yield lanes

    def layers(self, batches: Iterable[np.ndarray[Any, Any]]) -> List[LayerTime]:
        """See `Backend`. Names are those of the engine inspector, whose types are the kinds."""
        from segeval_runner.backends.tensorrt.profiler import Profiler

        self._profiler = profiler = Profiler()
        compute = self._execution.profiled(profiler)
        for images in batches:
            profiler.begin()
            self._call.run(images, compute)
        kinds = {name: kind for name, kind, _ in self._facts["listed"]}
        named = ((name[:LONGEST], ms) for name, ms in profiler.medians().items())
        return [LayerTime(name, kinds.get(name, ""), ms) for name, ms in named]

    def enqueue_ms(self) -> Optional[float]:
        """See `Backend`."""
        return self._call.enqueue_ms

    def stages(self) -> Dict[str, float]:
        """See `Backend`."""
        return self._call.stages()

    def facts(self) -> Dict[str, Any]:
        """See `Backend`."""
        return self._facts

    def deactivate(self) -> None:
        """See `Backend`."""
        self._taken.close()

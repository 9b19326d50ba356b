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
from segeval_runner.cuda.call import DeviceCall, device_facts
from segeval_runner.cuda.pipeline import Lane, Pipeline
from segeval_runner.own import OWN

if TYPE_CHECKING:
    import tensorrt as trt

    from segeval_runner.backends.tensorrt.contexts import Contexts
    from segeval_runner.backends.tensorrt.engine import Engine
    from segeval_runner.backends.tensorrt.log import Log


class TensorRT(Backend):
    """TensorRT on the first visible GPU, or on a deep learning accelerator of it with what it cannot do on the GPU."""

    name = "tensorrt"
    package = "tensorrt"
    module = "tensorrt"
    contract = 2
    calls_ahead = tells_layers = cuts_argmax = runs_engines = gives_logits = True

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
        from segeval_runner.backends.tensorrt.elsewhere import ends_of
        from segeval_runner.backends.tensorrt.execution import Execution
        from segeval_runner.backends.tensorrt.log import the_log

        log, job, settings = the_log(), self.job, self.settings
        log.forget()
        with ExitStack() as taken:
            cuda = open_cuda(settings.memory, settings.cuda_graph)
            taken.callback(cuda.close)
            self._cuda = cuda
            device = {**device_facts(cuda), **board()}
            engine, facts = self.engine(device, log)
            self._ends = ends_of(engine, job) if self.built_elsewhere else None
            self._call = self.call()
            taken.callback(self._call.close)
            contexts = self.contexts(engine, {**device, **facts})
            taken.callback(contexts.close)
            self._execution = Execution(cuda, self._call, contexts, log, job.shape, settings)
            taken.callback(self._execution.close)
            ran = job.fallback if job.fallback is not None and "fallback" in facts else job
            computes = arithmetic.tensorrt(ran.precision, facts.get("typing") == "weak")
            self._facts = {**device, **facts, "cuda_graph": settings.cuda_graph, "arithmetic": computes}
            self._taken = taken.pop_all()

    @property
    def built_elsewhere(self) -> bool:
        """Whether the job's file is an engine, not an ONNX file to build one of."""
        return self.job.precision == OWN

    def engine(self, device: Dict[str, Any], log: Log) -> Engine:
        """The engine of the job, loaded or built, and what is known of it. Raises BackendError."""
        from segeval_runner.backends.tensorrt.elsewhere import loaded
        from segeval_runner.backends.tensorrt.engine import engine_of

        if self.built_elsewhere:
            return loaded(self.job, self.settings, log)
        return engine_of(self.job, self.settings, device, log, self.report)

    def call(self) -> DeviceCall:
        """Memory for a call of the engine, and a stream."""
        from segeval_runner.backends.tensorrt.elsewhere import PreparedCall

        if self._ends is None:
            return DeviceCall(self._cuda, self.job.shape)
        return PreparedCall(self._cuda, self.job, self._ends)

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

    def logits(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """See `Backend`. Only of an engine `without_argmax`, which may have other kernels than the one with it."""
        self._call.run(images, self._execution.compute)
        return self._execution.logits()

    @contextmanager
    def pipeline(self) -> Iterator[Pipeline]:
        """See `Backend`: the engine twice, each with a context, memory and a stream of its own."""
        with ExitStack() as taken:
            call = self.call()
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

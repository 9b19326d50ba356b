"""The backend: versions, devices and engines put together. Imports TensorRT only when it is asked for."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Dict

import numpy as np

from segeval_runner.backends.backend import Backend
from segeval_runner.backends.tensorrt import library
from segeval_runner.backends.tensorrt.versions import takes_flags
from segeval_runner.cuda import open_cuda
from segeval_runner.cuda.call import DeviceCall


class TensorRT(Backend):
    """TensorRT on the first visible GPU, or on a deep learning accelerator of it with what it cannot do on the GPU."""

    name = "tensorrt"
    package = "tensorrt"
    module = "tensorrt"
    contract = 2

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
        from segeval_runner.backends.tensorrt.engine import Engines
        from segeval_runner.backends.tensorrt.execution import Execution
        from segeval_runner.backends.tensorrt.log import the_log

        log, job, settings = the_log(), self.job, self.settings
        log.forget()
        with ExitStack() as taken:
            cuda = open_cuda(settings.memory)
            self._call = DeviceCall(cuda, job.shape)
            taken.callback(self._call.close)
            device = self._call.facts()
            engine, facts = Engines(job, settings, device, log, self.report).get()
            self._execution = Execution(cuda, self._call, engine, log, job.shape, settings.cuda_graph)
            taken.callback(self._execution.close)
            self._facts = {**device, **facts, "cuda_graph": settings.cuda_graph}
            self._taken = taken.pop_all()

    def infer(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """See `Backend`."""
        return self._call.run(images, self._execution.compute)

    def stages(self) -> Dict[str, float]:
        """See `Backend`."""
        return self._call.stages()

    def facts(self) -> Dict[str, Any]:
        """See `Backend`."""
        return self._facts

    def deactivate(self) -> None:
        """See `Backend`."""
        self._taken.close()

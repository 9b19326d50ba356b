"""The backend: versions, devices and engines put together. Imports TensorRT only when it is asked for."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Dict

import numpy as np

from segeval_runner.backends import arithmetic
from segeval_runner.backends.backend import Backend
from segeval_runner.backends.tensorrt.versions import require_supported, takes_flags
from segeval_runner.cuda import open_cuda
from segeval_runner.cuda.call import DeviceCall
from segeval_runner.errors import BackendError


def import_engine() -> Any:
    """The tensorrt module. Raises BackendError if it is not installed, does not load or is too old."""
    try:
        import tensorrt
    except (ImportError, OSError) as error:
        hint = "on a Jetson: apt install nvidia-jetpack; elsewhere: pip install tensorrt"
        raise BackendError("TensorRT cannot be used: {}".format(error), hint) from error
    require_supported(tensorrt)
    return tensorrt


class TensorRT(Backend):
    """TensorRT on the first visible GPU, or on a deep learning accelerator of it with what it cannot do on the GPU."""

    name = "tensorrt"
    package = "tensorrt"
    contract = 2

    @classmethod
    def version(cls) -> str:
        """See `Backend`."""
        return str(import_engine().__version__)

    @classmethod
    def takes_flags(cls) -> bool:
        """See `Backend`."""
        return takes_flags(import_engine())

    def activate(self) -> None:
        """See `Backend`. Builds the engine if it is not in the cache, which takes minutes."""
        import_engine()
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
            computes = arithmetic.tensorrt(job.precision, facts["typing"] == "weak")
            self._facts = {**device, **facts, "cuda_graph": settings.cuda_graph, "arithmetic": computes}
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

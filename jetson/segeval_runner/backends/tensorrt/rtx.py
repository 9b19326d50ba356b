"""TensorRT for RTX: the same API, for GeForce and RTX GPUs. It compiles kernels where an engine runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict

from segeval_runner.backends.tensorrt.backend import TensorRT

if TYPE_CHECKING:
    import tensorrt as trt

    from segeval_runner.backends.tensorrt.contexts import Contexts


class TensorRTRTX(TensorRT):
    """TensorRT for RTX on the first visible GPU."""

    name = "tensorrt-rtx"
    package = "tensorrt-rtx"
    module = "tensorrt_rtx"

    def contexts(self, engine: trt.ICudaEngine, facts: Dict[str, Any]) -> Contexts:
        """See `TensorRT`."""
        from segeval_runner.backends.tensorrt.cache import Cache
        from segeval_runner.backends.tensorrt.contexts import CompilingContexts
        from segeval_runner.backends.tensorrt.engine import BOUND_TO

        key = {"tensorrt_rtx": self.version(), "engine": facts["engine_sha256"], **{n: facts[n] for n in BOUND_TO}}
        return CompilingContexts(engine, Cache(self.settings.cache), self.job.file.stem, key)

"""Where the execution contexts of an engine come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, cast

from segeval_runner.backends.tensorrt.cache import Cache, Key
from segeval_runner.backends.tensorrt.library import trt

if TYPE_CHECKING:
    import tensorrt_rtx as rtx


class Contexts:
    """Of TensorRT: an engine holds its kernels."""

    def __init__(self, engine: trt.ICudaEngine) -> None:
        self.engine = engine

    def new(self) -> Optional[trt.IExecutionContext]:
        """A context, or None for want of memory."""
        return self.engine.create_execution_context()

    def close(self) -> None:
        """Give the engine back."""
        del self.engine


class CompilingContexts(Contexts):
    """Of TensorRT for RTX: kernels are compiled when a context first runs, and kept in a file for the next start.

    Attributes:
        key: what the compiled kernels depend on.
        stem: readable beginning of the name.
    """

    def __init__(self, engine: trt.ICudaEngine, cache: Cache, stem: str, key: Key) -> None:
        super().__init__(engine)
        self._cache, self._key = cache, key
        self._path = cache.path(stem, "kernels", key)
        self._config = cast("rtx.ICudaEngine", engine).create_runtime_config()
        self._kernels = self._config.create_runtime_cache()
        kept = cache.load(self._path, key)
        self._before = b"" if kept is None else kept.data
        if self._before:
            # It is checked against GPU, driver and version; what does not fit is compiled again.
            self._kernels.deserialize(self._before)
        self._config.set_runtime_cache(self._kernels)

    def new(self) -> Optional[trt.IExecutionContext]:
        """See `Contexts`."""
        return cast("rtx.ICudaEngine", self.engine).create_execution_context(self._config)

    def close(self) -> None:
        """Keep the kernels that were compiled, and give the engine back. Raises BackendError if they cannot be kept."""
        data = bytes(self._kernels.serialize())
        if data != self._before:
            self._cache.store(self._path, self._key, data)
        del self._kernels, self._config
        super().close()

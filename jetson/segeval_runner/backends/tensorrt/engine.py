"""The engine of a job on this device: from the cache if it is certain to be that engine, else built and kept."""

from __future__ import annotations

import hashlib
from typing import Any, Dict, NamedTuple, Optional

from segeval_runner.backends.backend import Job, Report, Settings
from segeval_runner.backends.tensorrt import versions
from segeval_runner.backends.tensorrt.builder import Builder
from segeval_runner.backends.tensorrt.cache import Cache, Kept, Key
from segeval_runner.backends.tensorrt.inspector import inspect
from segeval_runner.backends.tensorrt.interrupt import deferred_interrupt
from segeval_runner.backends.tensorrt.library import trt
from segeval_runner.backends.tensorrt.log import Log
from segeval_runner.errors import BackendError

DLA_PRECISIONS = ("fp16",)
"""What the accelerator is asked to compute: it has no fp32, and its int8 is not that of a file with Q/DQ nodes."""


class Engine(NamedTuple):
    """An engine that was loaded, and what a record must say about it."""

    engine: trt.ICudaEngine
    facts: Dict[str, Any]


class Engines:
    """Loads or builds the engine of one job. device: what it is bound to, its "gpu" and "compute_capability"."""

    def __init__(self, job: Job, settings: Settings, device: Dict[str, Any], log: Log, report: Report) -> None:
        self.job = job
        self.settings = settings
        self.gpu = device["gpu"]
        self.bound_to: Key = {
            "tensorrt": trt.__version__,
            "gpu": self.gpu,
            "compute_capability": device["compute_capability"],
        }
        self.log = log
        self.report = report
        self.typing = versions.typing_mode(trt, settings.dla >= 0)
        self.cache = Cache(settings.cache)

    def get(self) -> Engine:
        """The engine. Raises BackendError if there is none and none can be built."""
        runtime = self.runtime()
        key = self.key()
        path = self.cache.path(self.job.file.stem, "engine", key)
        kept = self.cache.load(path, key)
        engine = None if kept is None else runtime.deserialize_cuda_engine(kept.data)
        origin = "cached"
        if kept is None or engine is None:
            # Also an engine with the right key and hash that does not load, as after an update of the driver.
            self.log.forget()
            kept, origin = self.built(key), "built"
            engine = runtime.deserialize_cuda_engine(kept.data)
        if engine is None:
            raise BackendError("{}: TensorRT cannot load what it built{}".format(self.job.file, self.log.told()))
        return Engine(engine, {**self.facts(kept, origin), **described(engine)})

    def runtime(self) -> trt.Runtime:
        """Raises BackendError if there is no such accelerator."""
        try:
            runtime = trt.Runtime(self.log)
        except TypeError as error:  # what pybind11 makes of a null pointer
            raise BackendError("TensorRT cannot start{}".format(self.log.told())) from error
        if self.settings.dla >= 0:
            self.require_dla(runtime.num_DLA_cores)
            runtime.DLA_core = self.settings.dla
        return runtime

    def require_dla(self, cores: int) -> None:
        """Raise BackendError unless the accelerator that was asked for is there and computes this precision."""
        core, precision = self.settings.dla, self.job.precision
        if not cores:
            what = "{} has no deep learning accelerator that TensorRT {} knows".format(self.gpu, trt.__version__)
            raise BackendError(what, "give --dla gpu")
        if core >= cores:
            what = "{} has {} deep learning accelerators, none of them {}".format(self.gpu, cores, core)
            raise BackendError(what, "they are numbered from 0")
        if precision not in DLA_PRECISIONS:
            reason = "it has no fp32" if precision == "fp32" else "it does not take int8 from Q/DQ nodes"
            what = "{}: {} cannot run on a deep learning accelerator: {}".format(self.job.file, precision, reason)
            raise BackendError(what, "give --dla gpu, or choose engines in fp16 with --engine")

    def key(self) -> Key:
        """Everything that the engine depends on."""
        return {"file": self.job.sha256, "precision": self.job.precision, **self.bound_to, "flags": self.flags()}

    def flags(self) -> Dict[str, Any]:
        """How it is built."""
        settings = self.settings
        return {"typing": self.typing, "tf32": False, "workspace_mb": settings.workspace_mb, "dla": settings.dla}

    def built(self, key: Key) -> Kept:
        """Build the engine, and keep it with what was measured. Raises BackendError, or KeyboardInterrupt."""
        path = self.cache.path(self.job.file.stem, "engine", key)
        timing_key = self.bound_to
        timing_path = self.cache.path("measured", "timing", timing_key)
        timing = self.cache.load(timing_path, timing_key)
        with deferred_interrupt() as interrupt:
            builder = Builder(self.job, self.settings, self.typing, self.log, self.report, lambda: interrupt.pending)
            built = builder.build(None if timing is None else timing.data)
            if built is not None:
                self.cache.store(timing_path, timing_key, built.timing)
                self.cache.store(path, key, built.engine, built.notes)
        if built is None:
            raise KeyboardInterrupt
        return Kept(built.engine, built.notes)

    def facts(self, kept: Kept, origin: str) -> Dict[str, Any]:
        """What is known of the engine without asking it: "warnings" are those of its build."""
        return {
            **self.flags(),
            "engine": origin,
            "engine_bytes": len(kept.data),
            "engine_sha256": hashlib.sha256(kept.data).hexdigest(),
            **kept.notes,
        }


def described(engine: trt.ICudaEngine) -> Dict[str, Any]:
    """Layers and precisions, as the engine inspector has them; see `inspect`."""
    inspector: Optional[trt.EngineInspector] = engine.create_engine_inspector()
    text = inspector.get_engine_information(trt.LayerInformationFormat.JSON) if inspector is not None else ""
    return inspect(text)

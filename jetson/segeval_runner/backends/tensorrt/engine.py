"""The engine of a job on this device: from the cache if it is certain to be that engine, else built and kept."""

from __future__ import annotations

import hashlib
from typing import Any, Dict, NamedTuple, Optional

from segeval_runner.backends.backend import Job, Report, Settings
from segeval_runner.backends.tensorrt import versions
from segeval_runner.backends.tensorrt.board import build_mb
from segeval_runner.backends.tensorrt.builder import Builder, UnbuildableError
from segeval_runner.backends.tensorrt.cache import Cache, Kept, Key
from segeval_runner.backends.tensorrt.cutting import NETWORK_OUTPUT
from segeval_runner.backends.tensorrt.inspector import inspect
from segeval_runner.backends.tensorrt.interrupt import deferred_interrupt
from segeval_runner.backends.tensorrt.library import trt
from segeval_runner.backends.tensorrt.log import Log
from segeval_runner.errors import BackendError

DLA_PRECISIONS = ("fp16",)
"""What the accelerator is asked to compute: it has no fp32, and its int8 is not that of a file with Q/DQ nodes. From
11.4.1 on these may decide, by its documentation; nobody here has run that, so it is not asked for."""
DLA_RELEASES = "TensorRT has it up to 10.7 (JetPack 5 and 6), and from 11.4.1 on (JetPack 7.2.2) on AGX Orin alone"


class Engine(NamedTuple):
    """An engine that was loaded, and what a record must say about it."""

    engine: trt.ICudaEngine
    facts: Dict[str, Any]


BOUND_TO = ("gpu", "compute_capability", "multiprocessors", "cuda_driver", "jetson_linux", "power_mode")
"""Of the device. All Orins call themselves "Orin" and have 8.7; a power mode switches multiprocessors off, and kernels
are chosen by the times that were measured in it."""


class Engines:
    """Loads or builds the engine of one job. device: what it is bound to, with the names of BOUND_TO."""

    def __init__(self, job: Job, settings: Settings, device: Dict[str, Any], log: Log, report: Report) -> None:
        self.job = job
        self.settings = settings
        self.gpu = device["gpu"]
        self.bound_to: Key = {"tensorrt": trt.__version__, **{name: device[name] for name in BOUND_TO}}
        self.log = log
        self.report = report
        self.typing = versions.typing_mode(trt, settings.dla >= 0)
        self.cache = Cache(settings.cache)

    def get(self) -> Engine:
        """The engine. Raises BackendError if there is none and none can be built."""
        runtime = self.runtime()
        key = self.key()
        path = self.cache.path(self.job.file.stem, "engine", key)
        for origin, kept in (("carried", self.carried()), ("cached", self.cache.load(path, key))):
            engine = None if kept is None else runtime.deserialize_cuda_engine(kept.data)
            if kept is not None and engine is not None:
                return Engine(engine, {**self.facts(kept, origin), **described(engine)})
        # Also for an engine with the right key and hash that does not load, as after an update of the driver.
        self.log.forget()
        kept = self.built(key)
        engine = runtime.deserialize_cuda_engine(kept.data)
        if engine is None:
            raise BackendError("{}: TensorRT cannot load what it built{}".format(self.job.file, self.log.told()))
        return Engine(engine, {**self.facts(kept, "built"), **described(engine)})

    def carried(self) -> Optional[Kept]:
        """The engine that came with the bundle, if it was asked for and is of this library's version."""
        plan = self.job.plan
        if plan is None or not self.settings.prebuilt or self.settings.without_argmax:
            return None
        return Kept(plan.file.read_bytes(), {"warnings": []}) if plan.version == self.bound_to["tensorrt"] else None

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
            raise BackendError(what, "give --dla gpu; {}".format(DLA_RELEASES))
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
        """How it is built. A limit of None changes with the free memory, and is no other engine; the notes have it."""
        settings = self.settings
        until = {"output": NETWORK_OUTPUT} if settings.without_argmax else {}
        how = {"typing": self.typing, "tf32": False, "workspace_mb": settings.workspace_mb, "dla": settings.dla}
        return {**how, **until}

    def built(self, key: Key) -> Kept:
        """Build the engine, and keep it with what was measured. Raises BackendError, or KeyboardInterrupt."""
        path = self.cache.path(self.job.file.stem, "engine", key)
        timing_key = self.bound_to
        timing_path = self.cache.path("measured", "timing", timing_key)
        timing = self.cache.load(timing_path, timing_key)
        limit = build_mb() if self.settings.workspace_mb is None else self.settings.workspace_mb
        settings = self.settings._replace(workspace_mb=limit)
        with deferred_interrupt() as interrupt:
            builder = Builder(self.job, settings, self.typing, self.log, self.report, lambda: interrupt.pending)
            built = builder.build(None if timing is None else timing.data)
            if built is not None:
                kept = Kept(built.engine, {**built.notes, "workspace_mb": limit})
                if built.timing:
                    self.cache.store(timing_path, timing_key, built.timing)
                self.cache.store(path, key, kept.data, kept.notes)
        if built is None:
            raise KeyboardInterrupt
        return kept

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
    """Layers and precisions, as the engine inspector has them (see `inspect`), and memory besides the weights."""
    inspector: Optional[trt.EngineInspector] = engine.create_engine_inspector()
    text = inspector.get_engine_information(trt.LayerInformationFormat.JSON) if inspector is not None else ""
    return {"device_memory_bytes": versions.device_memory(engine), **inspect(text)}


def engine_of(job: Job, settings: Settings, device: Dict[str, Any], log: Log, report: Report) -> Engine:
    """The engine of a job, or of its fallback where TensorRT cannot build it. Raises BackendError, KeyboardInterrupt.

    A file that could not be built here once is not tried again as long as nothing of its key changes: a try takes
    minutes. Facts of a fallback are its own, with its "file" and the reason as "fallback".
    """
    engines = Engines(job, settings, device, log, report)
    if job.fallback is None:
        return engines.get()
    key = engines.key()
    noted = engines.cache.path(job.file.stem, "refused", key)
    before = engines.cache.load(noted, key)
    if before is None:
        try:
            return engines.get()
        except UnbuildableError as error:
            refusal = error.what
    else:
        refusal = before.data.decode("utf-8", "replace")
    name = job.fallback.file.name
    report("{} cannot be built here, {} in its place".format(job.file.name, name), 1, 1)
    log.forget()
    found = Engines(job.fallback, settings, device, log, report).get()
    if before is None:
        engines.cache.store(noted, key, refusal.encode("utf-8"))
    reason = "computes as {}, since {}\n  (noted in {}; without that file it is tried again)"
    said = reason.format(job.fallback.precision, refusal, noted)
    return Engine(found.engine, {**found.facts, "file": name, "fallback": said})

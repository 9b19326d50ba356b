"""From an ONNX file to a serialized engine, on the device that will run it."""

from __future__ import annotations

from typing import Any, Callable, Dict, NamedTuple, Optional

from segeval_runner.backends.backend import Job, Report, Settings
from segeval_runner.backends.tensorrt import versions
from segeval_runner.backends.tensorrt.cutting import NETWORK_OUTPUT, cut
from segeval_runner.backends.tensorrt.inspector import UNKNOWN
from segeval_runner.backends.tensorrt.library import trt
from segeval_runner.backends.tensorrt.log import Log
from segeval_runner.backends.tensorrt.normalization import keep_exact
from segeval_runner.errors import BackendError

SHOWN = 5
"""Number of the parser's errors that are listed; the rest mostly follow from the first."""
MEBIBYTE = 1 << 20


class Built(NamedTuple):
    """What a build gives.

    Attributes:
        engine: serialized.
        timing: what was measured to build it, for the next build on this device, or nothing.
        notes: what a record must say about the build: "warnings", and who chose the type of the "normalization".
    """

    engine: bytes
    timing: bytes
    notes: Dict[str, Any]


class UnbuildableError(BackendError):
    """A file that was read, and that TensorRT makes no engine of here."""


class Builder:
    """Builds one job.

    Attributes:
        typing: "weak" or "strong", see versions.py.
        stop: whether to give up.
    """

    def __init__(
        self, job: Job, settings: Settings, typing: str, log: Log, report: Report, stop: Callable[[], bool]
    ) -> None:
        self.job = job
        self.settings = settings
        self.typing = typing
        self.log = log
        self.report = report
        self.stop = stop

    def build(self, timing: Optional[bytes]) -> Optional[Built]:
        """The engine, or None if it was stopped (8.x cannot be).

        Raises BackendError.

        Args:
            timing: of an earlier build.
        """
        name = "build " + self.job.file.name
        self.report(name, 0, 1)
        try:
            builder = trt.Builder(self.log)
        except TypeError as error:  # what pybind11 makes of a null pointer
            raise BackendError("TensorRT cannot start" + self.log.told()) from error
        network = self.parsed(builder)
        config = self.configured(builder)
        notes: Dict[str, Any] = {"normalization": self.normalization(network, config)}
        if versions.has_timings(trt):
            self.use_timings(config, timing)
        plan = self.run(builder, network, config)
        if plan is None and self.stop():
            return None
        if plan is None:
            what = "{}: TensorRT cannot build it".format(self.job.file)
            raise UnbuildableError(what + self.log.told(), self.smaller())
        self.report(name, 1, 1)
        notes["warnings"] = self.log.noted()
        measured = bytes(config.get_timing_cache().serialize()) if versions.has_timings(trt) else b""
        return Built(bytes(plan), measured, notes)

    def parsed(self, builder: trt.Builder) -> trt.INetworkDefinition:
        """The network of the file. Its weights are the parser's, which must therefore live until it is built."""
        network = builder.create_network(versions.network_flags(trt, self.typing))
        self.parser = trt.OnnxParser(network, self.log)
        if not self.parser.parse_from_file(str(self.job.file)):
            raise BackendError("{}: TensorRT cannot read it{}".format(self.job.file, complaints(self.parser)))
        if self.settings.without_argmax and not cut(network):
            what = "{} has no value {} to cut it at".format(self.job.file, NETWORK_OUTPUT)
            raise BackendError(what, "deploy the set again, or leave --without-argmax out")
        return network

    def configured(self, builder: trt.Builder) -> trt.IBuilderConfig:
        """How to build: nothing that the file does not say, and every layer described."""
        config = builder.create_builder_config()
        # Set by default, and then "fp32" multiplies numbers of 10 bits on every GPU since Ampere, Orin among them.
        config.clear_flag(trt.BuilderFlag.TF32)
        for flag in versions.precision_flags(trt, self.typing, self.job.precision):
            config.set_flag(flag)
        # Otherwise the inspector knows the names of the layers and nothing else.
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        if self.settings.workspace_mb:
            limit = self.settings.workspace_mb * MEBIBYTE
            config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, limit)
        if self.settings.dla >= 0:
            config.default_device_type = trt.DeviceType.DLA
            config.DLA_core = self.settings.dla
            # Normalization and argmax are nothing that the accelerator can do.
            config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
        return config

    def normalization(self, network: trt.INetworkDefinition, config: trt.IBuilderConfig) -> str:
        """The type in which the image is normalized: fp32 as in the file, or not known where the builder may choose."""
        chosen = self.typing == versions.WEAK and "FP16" in versions.PRECISION_FLAGS[self.job.precision]
        return UNKNOWN if chosen and not keep_exact(network, config) else "fp32"

    def use_timings(self, config: trt.IBuilderConfig, timing: Optional[bytes]) -> None:
        """Begin with what was measured before; TensorRT itself refuses what another device or version measured."""
        earlier = config.create_timing_cache(timing) if timing else None
        if earlier is None or not config.set_timing_cache(earlier, False):
            config.set_timing_cache(config.create_timing_cache(b""), False)

    def run(
        self, builder: trt.Builder, network: trt.INetworkDefinition, config: trt.IBuilderConfig
    ) -> Optional[trt.IHostMemory]:
        """Minutes on a device. Says how far it is where TensorRT does."""
        if not versions.has_progress(trt):
            return builder.build_serialized_network(network, config)
        from segeval_runner.backends.tensorrt.monitor import Monitor

        stage = "build {}: {}".format(self.job.file.name, "{}")
        monitor = Monitor(lambda phase, percent: self.report(stage.format(phase), percent, 100), self.stop)
        config.progress_monitor = monitor
        plan = builder.build_serialized_network(network, config)
        if monitor.error is not None:
            raise monitor.error
        return plan

    def smaller(self) -> str:
        """What may help against the most frequent reason on a device that shares its memory with everything else."""
        if self.settings.workspace_mb:
            return "if it lacks memory: another --workspace-mb, or a bundle with a smaller --batch"
        return "if it lacks memory: a limit with --workspace-mb, or a bundle with a smaller --batch"


def complaints(parser: trt.OnnxParser) -> str:
    """The parser's errors, one a line."""
    lines = [str(parser.get_error(index)).strip() for index in range(parser.num_errors)]
    left = len(lines) - SHOWN
    return "".join("\n  " + line for line in lines[:SHOWN]) + ("\n  and {} more".format(left) if left > 0 else "")

"""ONNX Runtime on the CPU."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Dict, Iterable, List, Sequence

import numpy as np

from segeval_runner.backends import arithmetic
from segeval_runner.backends.backend import Backend, Job, LayerTime
from segeval_runner.backends.onnx_profile import layer_times
from segeval_runner.errors import BackendError


def import_engine() -> Any:
    """The onnxruntime module. Raises BackendError if it is not installed or does not load."""
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError("ONNX Runtime cannot be used: {}".format(error), "pip install onnxruntime") from error
    return onnxruntime


UNFAITHFUL = ["WeightBiasQuantization"]
"""Graph optimisations that are left out. This one quantizes the biases that the file keeps in fp32: it gains no speed
here and changed 0.3 % of the labels of a Fast-SCNN. An integer kernel takes no other bias, so there it is left in."""

INTEGERS = {"int8": "session.qdqisint8allowed", "uint8": "session.x64quantprecision"}
"""What makes ONNX Runtime multiply integers of a type and add them up exactly on every processor.

By itself it turns int8 into uint8 on x86, and misses what several operators read; and it multiplies uint8 with an
instruction that cuts sums off where the processor has no VNNI.
"""


def session_options(threads: int, integers: str = "", simulated: bool = False) -> Any:
    """Every graph optimisation, denormals flushed to zero.

    Args:
        threads: 0 for one per core.
        integers: as of `Job`.
        simulated: multiply rounded values in fp32 everywhere. So a file of int8-fp16 must: integer kernels take no
            scales in fp16, and ONNX Runtime would put some in all the same.
    """
    options = import_engine().SessionOptions()
    if simulated:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    if integers:
        options.add_session_config_entry(INTEGERS[integers], "1")
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Denormal numbers slow these networks down several times and change no label.
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    return options


def left_out(integers: str) -> List[str]:
    """The graph optimisations that are left out.

    Args:
        integers: as of `Job`.
    """
    return [] if integers else UNFAITHFUL


def open_session(job: Job, options: Any, providers: Sequence[Any], hint: str = "", integers: str = "") -> Any:
    """An InferenceSession of the job's file.

    Args:
        job: what to load.
        options: of `session_options`.
        providers: ONNX Runtime's, in order of preference.
        hint: what to do if it does not load.
        integers: as of `Job`, where this engine has integer kernels.

    Raises:
        BackendError: if it does not load or is not a deployed model.
    """
    try:
        session = import_engine().InferenceSession(
            str(job.file), options, providers=providers, disabled_optimizers=left_out(integers)
        )
    except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
        raise BackendError("{}: ONNX Runtime cannot load it: {}".format(job.file, error), hint) from error
    found = [(v.name, v.type, list(v.shape)) for v in session.get_inputs() + session.get_outputs()]
    shape = list(job.shape)
    expected = [("image", "tensor(uint8)", [*shape, 3]), ("labels", "tensor(int32)", shape)]
    if found != expected:
        raise BackendError("{} takes and gives {}, not {}".format(job.file, found, expected))
    return session


class OnnxRuntime(Backend):
    """CPU execution provider, every graph optimisation that keeps to the file, denormals flushed to zero."""

    name = "onnxruntime"
    package = "onnxruntime"
    fills_cores = True
    tells_layers = True

    @classmethod
    def version(cls) -> str:
        """See `Backend`."""
        return str(import_engine().__version__)

    def activate(self) -> None:
        """See `Backend`."""
        integers = self.job.integers
        options = session_options(self.settings.threads, integers, self.job.precision == "int8-fp16")
        self.session = open_session(self.job, options, ["CPUExecutionProvider"], integers=integers)

    def infer(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """See `Backend`."""
        try:
            labels: np.ndarray[Any, Any] = self.session.run(["labels"], {"image": images})[0]
        except Exception as error:
            raise BackendError("{}: ONNX Runtime failed: {}".format(self.job.file, error)) from error
        return labels

    def layers(self, batches: Iterable[np.ndarray[Any, Any]]) -> List[LayerTime]:
        """See `Backend`. Layers are the nodes of the optimised graph; they are timed in a session of their own."""
        with tempfile.TemporaryDirectory(prefix="segeval-layers-") as folder:
            integers = self.job.integers
            options = session_options(self.settings.threads, integers)
            options.enable_profiling, options.profile_file_prefix = True, str(Path(folder) / "layers")
            session = open_session(self.job, options, ["CPUExecutionProvider"], integers=integers)
            for images in batches:
                session.run(["labels"], {"image": images})
            return layer_times(Path(session.end_profiling()).read_text(encoding="utf-8"))

    def facts(self) -> Dict[str, Any]:
        """See `Backend`."""
        job, half = self.job, arithmetic.half_kernels()
        return {"arithmetic": arithmetic.onnx_runtime(job.precision, half, bool(job.integers))}

    def deactivate(self) -> None:
        """See `Backend`."""
        del self.session

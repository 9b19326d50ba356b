"""ONNX Runtime on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from segeval_runner.backends.backend import Backend
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
here and changed 0.3 % of the labels of a Fast-SCNN."""


class OnnxRuntime(Backend):
    """CPU execution provider, every graph optimisation that keeps to the file, denormals flushed to zero."""

    name = "onnxruntime"
    package = "onnxruntime"

    @classmethod
    def version(cls) -> str:
        """See `Backend`."""
        return str(import_engine().__version__)

    def activate(self) -> None:
        """See `Backend`."""
        engine = import_engine()
        options = engine.SessionOptions()
        options.intra_op_num_threads = self.settings.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Denormal numbers slow these networks down several times and change no label.
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        try:
            self.session = engine.InferenceSession(
                str(self.job.file), options, providers=["CPUExecutionProvider"], disabled_optimizers=UNFAITHFUL
            )
        except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
            raise BackendError("{}: ONNX Runtime cannot load it: {}".format(self.job.file, error)) from error
        found = [(v.name, v.type, list(v.shape)) for v in self.session.get_inputs() + self.session.get_outputs()]
        shape = list(self.job.shape)
        expected = [("image", "tensor(uint8)", [*shape, 3]), ("labels", "tensor(int32)", shape)]
        if found != expected:
            raise BackendError("{} takes and gives {}, not {}".format(self.job.file, found, expected))

    def infer(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """See `Backend`."""
        try:
            labels: np.ndarray[Any, Any] = self.session.run(["labels"], {"image": images})[0]
        except Exception as error:
            raise BackendError("{}: ONNX Runtime failed: {}".format(self.job.file, error)) from error
        return labels

    def deactivate(self) -> None:
        """See `Backend`."""
        del self.session

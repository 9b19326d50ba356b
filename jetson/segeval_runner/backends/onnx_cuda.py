"""ONNX Runtime on an NVIDIA GPU."""

from __future__ import annotations

import contextlib
import sys
from typing import Any, Dict

import numpy as np

from segeval_runner.backends import arithmetic
from segeval_runner.backends.backend import Backend
from segeval_runner.backends.onnx_runtime import import_engine, open_session, session_options
from segeval_runner.cuda import open_cuda
from segeval_runner.cuda.call import DeviceCall, device_facts
from segeval_runner.errors import BackendError

INSTALL = (
    "pip install onnxruntime-gpu[cuda,cudnn] in place of onnxruntime; its wheels for ARM have no code for a Jetson's "
    "GPU: use the TensorRT backend there"
)

FALLBACK = (
    "ONNX Runtime's messages above say which library of CUDA or cuDNN is missing, if one is; an operator without a "
    "CUDA kernel is not run on the CPU in silence: use --backend onnxruntime for that"
)


class OnnxCuda(Backend):
    """CUDA execution provider for the whole graph or not at all, fp32 without TF32."""

    name = "onnxruntime-cuda"
    package = "onnxruntime-gpu"
    provider = "CUDAExecutionProvider"
    memory = "cuda"
    """ONNX Runtime's word for where the bound tensors lie."""

    @classmethod
    def version(cls) -> str:
        """See `Backend`. Raises BackendError, too, if this ONNX Runtime was built without CUDA."""
        engine = import_engine()
        if cls.provider not in engine.get_available_providers():
            raise BackendError("ONNX Runtime {} was built without CUDA".format(engine.__version__), INSTALL)
        return str(engine.__version__)

    def activate(self) -> None:
        """See `Backend`."""
        self.version()
        preload(import_engine())
        with contextlib.ExitStack() as taken:
            cuda = open_cuda(self.settings.memory)
            taken.callback(cuda.close)
            self._cuda = cuda
            self._call = DeviceCall(cuda, self.job.shape)
            taken.callback(self._call.close)
            providers = [(self.provider, self.provider_options())]
            self._session = open_session(self.job, self.session_options(), providers, FALLBACK)
            if self._session.get_providers()[0] != self.provider:
                found = ", ".join(self._session.get_providers())
                what = "{}: ONNX Runtime could not load its CUDA provider and fell back to {}"
                raise BackendError(what.format(self.job.file, found), INSTALL)
            self._binding = self.bound()
            self._taken = taken.pop_all()

    def session_options(self) -> Any:
        """Those of the CPU, but an operator without a CUDA kernel is an error instead of a detour over the CPU."""
        options = session_options(self.settings.threads)
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        return options

    def provider_options(self) -> Dict[str, str]:
        """fp32 means fp32: by itself ONNX Runtime rounds to TF32 on Ampere and later. Work is queued in our stream."""
        return {"device_id": "0", "use_tf32": "0", "user_compute_stream": str(self._call.stream.handle)}

    def bound(self) -> Any:
        """The session's input and output, bound to the memory of the call."""
        binding, shape = self._session.io_binding(), self.job.shape
        binding.bind_input("image", self.memory, 0, np.uint8, [*shape, 3], self._call.images.address)
        binding.bind_output("labels", self.memory, 0, np.int32, list(shape), self._call.labels.address)
        return binding

    def infer(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """See `Backend`."""
        return self._call.run(images, self.compute)

    def compute(self) -> None:
        """Run the session on what the device has."""
        try:
            self._session.run_with_iobinding(self._binding)
        except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
            raise BackendError("{}: ONNX Runtime failed: {}".format(self.job.file, error)) from error

    def stages(self) -> Dict[str, float]:
        """See `Backend`."""
        return self._call.stages()

    def facts(self) -> Dict[str, Any]:
        """See `Backend`. tf32 is what the session says, not what it was asked."""
        options = self._session.get_provider_options()[self.provider]
        tf32 = options.get("use_tf32") != "0"
        computes = arithmetic.onnx_cuda(self.job.precision, tf32)
        return {**device_facts(self._cuda), "provider": self.provider, "tf32": tf32, "arithmetic": computes}

    def deactivate(self) -> None:
        """See `Backend`."""
        # The session uses the stream and the buffers until it is gone.
        del self._binding, self._session
        self._taken.close()


def preload(engine: Any) -> None:
    """Load CUDA and cuDNN from NVIDIA's wheels where they are installed; releases before 1.21 have no way to do so."""
    if hasattr(engine, "preload_dlls"):
        # It prints what it does not find, which belongs to the messages and not to the results.
        with contextlib.redirect_stdout(sys.stderr):
            engine.preload_dlls()

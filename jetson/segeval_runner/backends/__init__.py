"""Engines that can run a deployed model. One class each, one line in BACKENDS."""

from __future__ import annotations

import importlib
from typing import Type

from segeval_runner.backends.backend import Backend, Job, Plan, Settings
from segeval_runner.errors import BackendError

__all__ = ["BACKENDS", "Backend", "Job", "Plan", "Settings", "load_backend"]

BACKENDS = {
    "onnxruntime": "segeval_runner.backends.onnx_runtime:OnnxRuntime",
    "onnxruntime-cuda": "segeval_runner.backends.onnx_cuda:OnnxCuda",
    "openvino": "segeval_runner.backends.openvino:OpenVino",
    "tensorrt": "segeval_runner.backends.tensorrt:TensorRT",
    "tensorrt-rtx": "segeval_runner.backends.tensorrt.rtx:TensorRTRTX",
}


def load_backend(name: str) -> Type[Backend]:
    """The backend class of that name; its engine is not imported yet. Raises BackendError for an unknown name."""
    if name not in BACKENDS:
        raise BackendError("no backend {!r}".format(name), "backends are: {}".format(", ".join(BACKENDS)))
    module, _, attribute = BACKENDS[name].partition(":")
    backend: Type[Backend] = getattr(importlib.import_module(module), attribute)
    return backend

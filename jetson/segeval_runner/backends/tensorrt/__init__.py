"""NVIDIA TensorRT, 8.5 to 11: engines are built on the device from the bundle's ONNX files, and kept."""

from __future__ import annotations

from segeval_runner.backends.tensorrt.backend import TensorRT

__all__ = ["TensorRT"]

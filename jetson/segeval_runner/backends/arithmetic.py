"""Which arithmetic an engine uses, in words for a record; it can differ from the precision in the file's name."""

from __future__ import annotations

import platform
from pathlib import Path

from segeval_runner.own import OWN

HALF_ON_ARM = "asimdhp"
"""A processor with fp16 arithmetic, in the words of /proc/cpuinfo."""


def onnx_runtime(precision: str, half_kernels: bool, integers: bool = False) -> str:
    """ONNX Runtime on a CPU.

    Args:
        precision: of the engine.
        half_kernels: whether it has them for this processor.
        integers: whether the file is placed for integer kernels, and they are switched on.
    """
    half = "fp16 where ONNX Runtime has a kernel, fp32 elsewhere" if half_kernels else "fp32, weights rounded to fp16"
    if precision == "int8" and integers:
        return "integers where the result of a convolution is rounded as well; elsewhere fp32 on values rounded to int8"
    if precision == "int8":
        return "fp32 on values rounded to int8; integers where a result is quantized as well"
    if precision == "int8-fp16":
        return half + "; convolutions on values rounded to int8"
    return half if precision == "fp16" else "fp32"


def half_kernels(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether ONNX Runtime computes fp16 on this processor: on 64-bit ARM with fp16 arithmetic alone."""
    if platform.machine() not in ("aarch64", "arm64"):
        return False
    try:
        return HALF_ON_ARM in cpuinfo.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return platform.system() == "Darwin"


def onnx_cuda(precision: str, tf32: bool) -> str:
    """ONNX Runtime on an NVIDIA GPU, where no kernel multiplies int8."""
    real = "fp16" if precision in ("fp16", "int8-fp16") else "TF32" if tf32 else "fp32 without TF32"
    return real + ("; convolutions on values rounded to int8" if precision.startswith("int8") else "")


def openvino(precision: str, computes_in: str, int8_convolutions: int, saturates: bool) -> str:
    """OpenVINO.

    Args:
        precision: of the engine.
        computes_in: "f32" or "f16".
        int8_convolutions: how many of them the file has.
        saturates: whether sums of int8 products are cut to 16 bits.
    """
    real = "fp16" if computes_in == "f16" else "fp32"
    if real == "fp32" and precision in ("fp16", "int8-fp16"):
        real += ", weights rounded to fp16"
    if not precision.startswith("int8"):
        return real
    cut = ", their sums cut to 16 bits" if saturates else ""
    return "int8 in {} convolutions{}; elsewhere {}".format(int8_convolutions, cut, real)


def tensorrt(precision: str, weak: bool) -> str:
    """TensorRT without TF32.

    Args:
        precision: of the engine.
        weak: the builder chooses among the types that it may take; otherwise the file decides.
    """
    if precision == OWN:
        return "what the engine was built with"
    types = {"fp16": "fp16", "int8": "int8", "int8-fp16": "int8, fp16"}
    if precision not in types:
        return "fp32 without TF32"
    if weak:
        return "{} or fp32, as the builder chose for each layer".format(types[precision])
    if precision == "fp16":
        return "fp16; normalization fp32"
    return "int8 in quantized convolutions; elsewhere {}".format("fp16" if precision == "int8-fp16" else "fp32")

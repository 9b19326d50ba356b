"""What engines say about the numbers that they compute with."""

import platform
from pathlib import Path

import pytest

from segeval_runner.backends import arithmetic

X86 = platform.machine() in ("x86_64", "AMD64")


def test_an_fp16_file_is_not_said_to_run_in_fp16_where_it_does_not() -> None:
    assert arithmetic.onnx_runtime("fp32", half_kernels=False) == "fp32"
    assert arithmetic.onnx_runtime("fp16", half_kernels=False) == "fp32, weights rounded to fp16"
    assert arithmetic.onnx_runtime("fp16", half_kernels=True).startswith("fp16 ")
    assert arithmetic.onnx_runtime("int8", half_kernels=True).startswith("fp32 on values rounded to int8")
    assert arithmetic.onnx_runtime("int8-fp16", half_kernels=False).startswith("fp32, weights rounded to fp16; ")
    assert arithmetic.openvino("fp16", "f32", 0, saturates=False) == "fp32, weights rounded to fp16"
    assert arithmetic.openvino("fp16", "f16", 0, saturates=False) == "fp16"
    assert arithmetic.openvino("fp32", "f32", 0, saturates=False) == "fp32"


def test_integers_are_said_where_they_are_multiplied() -> None:
    assert arithmetic.openvino("int8", "f32", 52, saturates=False) == "int8 in 52 convolutions; elsewhere fp32"
    assert "their sums cut to 16 bits" in arithmetic.openvino("int8", "f32", 52, saturates=True)
    assert arithmetic.onnx_cuda("int8", tf32=False) == "fp32 without TF32; convolutions on values rounded to int8"
    assert arithmetic.onnx_cuda("fp32", tf32=True) == "TF32"
    assert arithmetic.tensorrt("int8", weak=False) == "int8 in quantized convolutions; elsewhere fp32"
    assert arithmetic.tensorrt("int8-fp16", weak=False) == "int8 in quantized convolutions; elsewhere fp16"


def test_where_tensorrt_chooses_the_types_it_is_said_to() -> None:
    assert arithmetic.tensorrt("int8-fp16", weak=True) == "int8, fp16 or fp32, as the builder chose for each layer"
    assert arithmetic.tensorrt("fp16", weak=False) == "fp16; normalization fp32"
    for weak in (True, False):
        assert arithmetic.tensorrt("fp32", weak) == "fp32 without TF32"


@pytest.mark.skipif(not X86, reason="the processor of x86 has no fp16 arithmetic that ONNX Runtime uses")
def test_x86_has_no_half_kernels() -> None:
    assert not arithmetic.half_kernels()


@pytest.mark.parametrize(("features", "expected"), [("fp asimd asimdhp", True), ("fp asimd evtstrm", False)])
def test_arm_has_them_if_the_processor_says_so(
    features: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\nFeatures : {features}\n")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert arithmetic.half_kernels(cpuinfo) is expected
    assert not arithmetic.half_kernels(tmp_path / "none") or platform.system() == "Darwin"

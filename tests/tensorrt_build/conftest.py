from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import ModelProto

from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.export import export_fp32
from segeval.graphs.quantize import to_int8
from segeval.models import load_model
from segeval_runner.backends import Job
from tests.graphs.conftest import picture

pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed: pip install '.[rtx]'")

MakeJob = Callable[[ModelProto], Job]


@pytest.fixture(scope="session")
def fp32() -> ModelProto:
    return export_fp32(load_model("espnet-synthetic"), 64, 128)


@pytest.fixture(scope="session")
def int8(fp32: ModelProto) -> ModelProto:
    return to_int8(fp32, [picture(0), picture(1)], CalibrationSpec("minmax"))


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    """Writes a file, and is what the runner's builder is asked to do with it."""

    def make(model: ModelProto) -> Job:
        file = tmp_path / "net.onnx"
        onnx.save(model, file)
        return Job(file, "0" * 64, "int8", (1, 64, 128))

    return make

"""The network without its ArgMax, parsed and built by a real TensorRT: that for RTX, which needs no GPU for it."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.export import export_fp32
from segeval.graphs.fp16 import to_fp16
from segeval.graphs.quantize import to_int8
from segeval.models import load_model

SIZE = (64, 128)
PROGRAM = """
import json, sys
from pathlib import Path
from segeval_runner.backends import Job, Settings
from segeval_runner.backends.tensorrt.library import use
use("tensorrt_rtx")
from segeval_runner.backends.tensorrt.builder import Builder
from segeval_runner.backends.tensorrt.log import the_log
file, precision, alone = sys.argv[1:]
settings = Settings(1, Path(file).parent, without_argmax=alone == "alone")
job = Job(Path(file), "0" * 64, precision, (1, 64, 128))
log = the_log()
built = Builder(job, settings, "strong", log, lambda *each: None, lambda: False).build(None)
print(json.dumps(log.layers))
"""
"""One process for each build, since a process uses one TensorRT."""

real = pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="TensorRT for RTX is not installed")


@pytest.fixture(scope="module", params=["fp32", "fp16", "int8"])
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    precision: str = request.param
    model = export_fp32(load_model("espnet-synthetic"), *SIZE)
    written = tmp_path_factory.mktemp("cutting") / f"espnet.{precision}.onnx"
    if precision == "int8":
        pictures = np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3), dtype=np.uint8)
        model = to_int8(model, pictures, CalibrationSpec())
    onnx.save(to_fp16(model) if precision == "fp16" else model, written)
    return written


def layers(file: Path, how: str) -> list[str]:
    command = [sys.executable, "-c", PROGRAM, str(file), file.suffixes[0][1:], how]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


def outputs(listed: list[str]) -> str:
    """What the last layer of an engine gives."""
    return listed[-1].partition("Outputs: ")[2]


@real
def test_what_is_built_ends_with_float_logits_and_has_no_topk(file: Path) -> None:
    whole, alone = layers(file, "whole"), layers(file, "alone")
    assert "Name: labels, Dimensions: [1,64,128]" in outputs(whole) and "Datatype: Int32" in outputs(whole)
    assert "Name: network_output, Dimensions: [1,19,64,128]" in outputs(alone)
    assert "Datatype: Float" in outputs(alone)
    assert any("topk" in line.lower() for line in whole)
    assert not any("topk" in line.lower() or "labels" in line for line in alone)

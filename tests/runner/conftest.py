import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from segeval.deploy.bundle import Input, hash_files, write_file, write_inputs
from segeval.deploy.runner_archive import RUN_SCRIPT, runner_archive
from segeval.files.bundles import BundleManifest, DeployOptions, SetReference
from segeval.files.encoding import encode
from segeval.files.engine_records import EngineRecord, Parity

HEIGHT, WIDTH, CLASSES = 64, 96, 3

MakeBundle = Callable[..., Path]


def picture(number: int) -> NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def brightest_channel(batch: int, offset: int, work: int = 0) -> bytes:
    """An ONNX file of the deployed form whose label is the index of the brightest channel, plus `offset`.

    work: side of matrices that it multiplies besides, so that a call takes its time.
    """
    shape = (batch, HEIGHT, WIDTH)
    nodes = [
        helper.make_node("Cast", ["image"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("ArgMax", ["levels"], ["index"], axis=3, keepdims=0),
        helper.make_node("Cast", ["index"], ["small"], to=TensorProto.INT32),
        helper.make_node("Add", ["small", "offset"], ["labels"]),
    ]
    constants = [helper.make_tensor("offset", TensorProto.INT32, (), [offset])]
    if work:
        nodes[-1].output[0] = "found"
        nodes += [
            helper.make_node("ReduceMean", ["levels"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["ones", "mean"], ["matrix"]),
            helper.make_node("MatMul", ["matrix", "matrix"], ["product"]),
            helper.make_node("ReduceMin", ["product"], ["least"], keepdims=0),
            helper.make_node("Less", ["least", "zero"], ["never"]),
            helper.make_node("Cast", ["never"], ["nothing"], to=TensorProto.INT32),
            helper.make_node("Add", ["found", "nothing"], ["labels"]),
        ]
        ones = np.ones((work, work), np.float32)
        constants += [numpy_helper.from_array(ones, "ones"), helper.make_tensor("zero", TensorProto.FLOAT, (), [0.0])]
    graph = helper.make_graph(
        nodes,
        "brightest channel",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, (*shape, 3))],
        [helper.make_tensor_value_info("labels", TensorProto.INT32, shape)],
        constants,
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def engine(name: str, file: str, batch: int, inputs: tuple[tuple[int, int], ...]) -> EngineRecord:
    parity = Parity(1, 1.0, None, None, None)
    return EngineRecord(name, "brightest", "fp32", file, HEIGHT, WIDTH, batch, CLASSES, inputs, None, parity)


@pytest.fixture
def make_bundle(tmp_path: Path) -> MakeBundle:
    """A bundle of `count` random pictures and two engines: one for all of them, one in batches for two ranges.

    work: of `brightest_channel`.
    """

    def make(count: int = 7, name: str = "bundle", offset: int = 0, work: int = 0) -> Path:
        root = tmp_path / name
        inputs = [Input(f"clean/{number}", partial(picture, number)) for number in range(count)]
        written = write_inputs(root, inputs, HEIGHT, WIDTH, lambda done, total: None)
        write_file(root, "models/single.onnx", brightest_channel(1, offset, work))
        write_file(root, "models/batched.onnx", brightest_channel(2, offset, work))
        engines = (
            engine("single", "models/single.onnx", 1, ((0, count),)),
            engine("batched", "models/batched.onnx", 2, ((0, 2), (count - 3, count))),
        )
        write_file(root, "runner.pyz", runner_archive(), executable=True)
        write_file(root, "run.sh", RUN_SCRIPT.encode(), executable=True)
        options = DeployOptions(("fp32",), "percentile", 1, 1)
        manifest = BundleManifest("0", SetReference("a" * 64), "cpu", options, engines, written, hash_files(root))
        write_file(root, "bundle.json", encode(manifest))
        return root

    return make


@pytest.fixture
def runner() -> Callable[..., list[str]]:
    """The command line that runs a bundle's own archive."""

    def command(bundle: Path, *arguments: object) -> list[str]:
        return [sys.executable, "-E", "-P", str(bundle / "runner.pyz"), *map(str, arguments)]

    return command

"""A fused file on a processor: convolutions on integers, added up exactly, and labels as in the float simulation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, helper, numpy_helper

from segeval.datasets import open_dataset
from segeval.deploy import deploy, replay
from segeval.files.images import RgbImage
from segeval.graphs.calibration import CalibrationSpec, parse_calibration
from segeval.graphs.export import export_fp32
from segeval.graphs.quantize import to_int8
from segeval.graphs.session import DeployedModel, open_session, operators_run
from segeval.models import load_model
from segeval_runner.backends.backend import Settings
from segeval_runner.backends.onnx_runtime import OnnxRuntime
from segeval_runner.bundle import Bundle
from segeval_runner.errors import BundleError
from segeval_runner.manifest import integers_of
from segeval_runner.replay import job_of

MakeSet = Callable[..., Path]
FUSED = CalibrationSpec("minmax", placement="fused")


@pytest.mark.parametrize(
    ("network", "calibration", "fewest"),
    [
        ("espnet-synthetic", "minmax,placement=fused", 16),
        ("fast-scnn-synthetic", "minmax,placement=fused", 4),
        ("fast-scnn-synthetic", "minmax,placement=fused,activations=uint8", 32),
    ],
)
def test_convolutions_run_on_integers_and_labels_stay(network: str, calibration: str, fewest: int) -> None:
    """Of trained networks: with random weights, labels hang on the smallest differences."""
    spec = parse_calibration(calibration)
    scenes = [open_dataset("synthetic", None, "train", (128, 256))[index].image for index in range(4)]
    model = to_int8(export_fp32(load_model(network), 128, 256), scenes[:2], spec)
    assert operators_run(model, spec.integers)["QLinearConv"] >= fewest
    integers, simulated = DeployedModel(model, integers=spec.integers), DeployedModel(model, optimised=False)
    equal = np.mean([integers.predict(image) == simulated.predict(image) for image in scenes])
    assert 0.98 < equal < 1


def test_an_accurate_file_is_simulated_as_ever(exported: dict[str, ModelProto], pictures: list[RgbImage]) -> None:
    spec = CalibrationSpec("minmax")
    assert spec.integers == ""
    model = to_int8(exported["espnet-synthetic"], pictures[:1], spec)
    assert operators_run(model)["Conv"] == 52 - operators_run(model)["FusedConv"]
    assert operators_run(model)["QLinearConv"] == 0


def one_convolution(dtype: type, weights: NDArray[np.int8], zero_point: int, scale: float) -> ModelProto:
    """image → Cast → Transpose → Q DQ → convolution without bias → Q DQ → labels: all steps of 1 but the last."""
    half = np.array(scale, np.float32)
    constants: dict[str, NDArray[Any]] = {
        "one": np.array(1, np.float32),
        "zero": np.array(zero_point, dtype),
        "ones": np.ones(len(weights), np.float32),
        "zeros": np.zeros(len(weights), np.int8),
        "scale": half,
        "weights": weights,
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "one", "zero"], ["a"]),
        helper.make_node("DequantizeLinear", ["a", "one", "zero"], ["b"]),
        helper.make_node("DequantizeLinear", ["weights", "ones", "zeros"], ["w"], axis=0),
        helper.make_node("Conv", ["b", "w"], ["c"]),
        helper.make_node("QuantizeLinear", ["c", "scale", "zero"], ["d"]),
        helper.make_node("DequantizeLinear", ["d", "scale", "zero"], ["labels"]),
    ]
    shape = [1, weights.shape[1], 8, 8]
    ends = [helper.make_tensor_value_info(name, 1, shape if name == "image" else None) for name in ("image", "labels")]
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], initializer=stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("integers", ["int8", "uint8"])
def test_sums_of_the_largest_products_are_exact(integers: str) -> None:
    """Where a kernel adds pairs of products up in 16 bits, 2 × 127 × 127 still fits and 2 × 255 × 127 does not."""
    rng = np.random.default_rng(0)
    weights = rng.choice(np.array([-127, 127, 126, -1], np.int8), (32, 64, 1, 1), p=[0.1, 0.7, 0.1, 0.1])
    dtype, zero_point, limits = (np.int8, 0, (-128, 127)) if integers == "int8" else (np.uint8, 0, (0, 255))
    image = rng.choice(np.array([limits[0], limits[1], limits[1] - 1]), (1, 64, 8, 8)).astype(np.float32)
    scale = 8192.0
    model = one_convolution(dtype, weights, zero_point, scale)
    assert operators_run(model, integers)["QLinearConv"] == 1
    (found,) = open_session(model, integers=integers).run(["labels"], {"image": image})
    sums = np.einsum("oi,nihw->nohw", weights[:, :, 0, 0].astype(np.int64), image.astype(np.int64))
    assert sums.max() > 2**17
    assert np.array_equal(found, np.clip(np.rint(sums / scale), *limits) * scale)


def test_the_runner_computes_it_as_the_desktop_does_and_says_so(make_set: MakeSet, tmp_path: Path) -> None:
    root = make_set(range(2), networks=("espnet-synthetic",))
    bundle = deploy(root, tmp_path / "bundle", "cpu", ("int8",), ("minmax,placement=fused", "minmax"))
    assert [engine.name for engine in bundle.engines] == ["espnet-synthetic.int8", "espnet-synthetic.int8-minmax"]
    shipped, other = (engine.calibration for engine in bundle.engines)
    assert shipped is not None and other is not None
    assert (shipped.placement, len(shipped.too_small), shipped.op_types) == ("fused", 19, ("Conv", "Add", "Concat"))
    assert (other.placement, other.too_small, other.not_on_tensorrt_8) == ("accurate", (), ())
    read = Bundle(tmp_path / "bundle")
    jobs = [job_of(read, engine, OnnxRuntime) for engine in read.manifest.engines]
    assert [job.integers for job in jobs] == ["int8", ""]
    done = replay(tmp_path / "bundle", tmp_path / "replay", lambda *step: None, warmup=0, threads=1)
    computed = [str(engine.facts["arithmetic"]) for engine in done.engines]
    assert [text.partition(" ")[0] for text in computed] == ["integers", "fp32"]
    with OnnxRuntime(jobs[0], Settings(1, tmp_path), lambda *step: None) as backend:
        assert isinstance(backend, OnnxRuntime)
        assert isinstance(backend.session, onnxruntime.InferenceSession)


def test_an_unknown_type_of_activations_is_refused_on_the_device() -> None:
    int8: dict[str, object] = {"precision": "int8"}
    fused = {"placement": "fused"}
    for none in ({}, int8, {**int8, "calibration": None}, {**int8, "calibration": {}}):
        assert integers_of(none) == ""
    assert integers_of({**int8, "calibration": fused}) == "int8"
    assert integers_of({**int8, "calibration": {**fused, "activations": "uint8"}}) == "uint8"
    assert integers_of({"precision": "int8-fp16", "calibration": fused}) == "", "scales in half precision"
    for calibration in ({**fused, "activations": "int4"}, {**fused, "activations": [1]}, "fused", 7):
        with pytest.raises(BundleError, match="malformed"):
            integers_of({**int8, "calibration": calibration})

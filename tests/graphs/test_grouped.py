"""Grouped convolutions stay exact in files for TensorRT 8, unless a ReLU alone reads them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, helper, numpy_helper
from safetensors.torch import save_file

from segeval.deploy import deploy
from segeval.deploy.targets import Target
from segeval.deploy.variants import Variant
from segeval.errors import ConfigurationError, EngineError
from segeval.files.bundles import BundleFolder
from segeval.files.engine_records import Placement
from segeval.files.images import RgbImage
from segeval.graphs.calibration import PLACEMENTS, CalibrationSpec
from segeval.graphs.export import export_fp32
from segeval.graphs.grouped import without_kernel
from segeval.graphs.qdq import check_qdq
from segeval.graphs.quantize import find_ranges, quantize
from segeval.models import Segmenter, load_model
from segeval.models.loading import build_network, load_spec
from segeval.registry import TARGETS
from segeval_runner.backends.onnx_runtime import OnnxRuntime
from segeval_runner.bundle import Bundle
from segeval_runner.replay import job_of

MakeSet = Callable[..., Path]
NETWORK = "espnetv2-cityscapes"
LACKING = 105
"""Of its 123 convolutions; the other 18 have no groups."""


def convolutions(model: ModelProto) -> dict[str, bool]:
    """Every convolution, and whether its weights come through DequantizeLinear."""
    rounded = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    return {node.name: node.input[1] in rounded for node in model.graph.node if node.op_type == "Conv"}


def small_network() -> ModelProto:
    """Grouped convolutions with every kind of reader between the named ends of an exported file."""
    nodes, weights = [], {"slope": np.full((16, 1, 1), 0.1, np.float32)}

    def convolution(taken: str, given: str, group: int) -> str:
        weights[f"{given}.weight"] = np.ones((16, 16 // group, 1, 1), np.float32)
        nodes.append(helper.make_node("Conv", [taken, f"{given}.weight"], [given], given, group=group))
        return given

    def after(op_type: str, *taken: str) -> str:
        given = f"{taken[0]}.{op_type}"
        nodes.append(helper.make_node(op_type, list(taken), [given], given))
        return given

    value = after("Relu", convolution("network_input", "dense", 1))
    value = after("Relu", convolution(value, "with-relu", 16))
    value = after("PRelu", convolution(value, "with-prelu", 16), "slope")
    value = after("PRelu", convolution(value, "dense-with-prelu", 1), "slope")
    value = convolution(value, "bare", 4)
    shared = convolution(value, "relu-and-sum", 16)
    total = after("Add", shared, after("Relu", shared))
    nodes.append(helper.make_node("Identity", [total], ["network_output"], "end"))
    ends = [helper.make_tensor_value_info(name, 1, [1, 16, 8, 8]) for name in ("network_input", "network_output")]
    stored = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    model = helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:], initializer=stored))
    onnx.checker.check_model(model)
    return model


def test_a_relu_alone_may_read_them() -> None:
    assert without_kernel(small_network(), ("8.5", "11.4")) == ("with-prelu", "bare", "relu-and-sum")
    assert without_kernel(small_network(), ("10.3", "11.4")) == without_kernel(small_network(), ()) == ()


@pytest.fixture(scope="module")
def victims(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Segmenter]:
    """ESPNetv2, whose grouped convolutions have sums and PReLU behind them, with random weights."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("weights") / "espnetv2.safetensors"
    state = build_network(load_spec(NETWORK), None).state_dict()
    save_file({key: value.contiguous() for key, value in state.items()}, file)
    return {NETWORK: load_model(f"{NETWORK}={file}")}


@pytest.fixture(scope="module")
def fp32(victims: dict[str, Segmenter]) -> ModelProto:
    return export_fp32(victims[NETWORK], 64, 128)


@pytest.mark.parametrize("name", ["espnet-synthetic", "fast-scnn-synthetic"])
def test_networks_without_such_convolutions_are_whole_everywhere(name: str) -> None:
    assert without_kernel(export_fp32(load_model(name), 64, 128), ("8.6.2",)) == ()


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_file_without_them_follows_every_rule(
    placement: Placement, fp32: ModelProto, pictures: list[RgbImage]
) -> None:
    spec = CalibrationSpec("minmax", placement=placement)
    names = without_kernel(fp32, ("8.6.2",))
    assert len(names) == LACKING
    whole = Variant(spec)
    assert whole.leaving_out(fp32, ()) is whole
    variant = whole.leaving_out(fp32, names)
    model = quantize(fp32, find_ranges(fp32, pictures[:1], spec), spec, variant.nodes)
    quantized = {name for name, rounded in convolutions(model).items() if rounded}
    assert quantized and quantized.isdisjoint(names)
    check_qdq(model, spec, nodes=variant.nodes)
    with pytest.raises(EngineError):
        check_qdq(model, spec)


@pytest.mark.long
def test_each_target_gets_the_files_that_its_versions_can_build(make_set: MakeSet, tmp_path: Path) -> None:
    class Flagged(OnnxRuntime):
        @classmethod
        def takes_flags(cls) -> bool:
            return True

    root = make_set(range(1), networks=(NETWORK,))
    left: dict[str, list[int]] = {}
    for name in ("jetson-orin-nx", "jetson-xavier"):
        target: Target = TARGETS.load(name)
        bundle = deploy(root, tmp_path / name, name, ("int8", "int8-fp16"), ("minmax",))
        assert BundleFolder(tmp_path / name).verify() == bundle
        read = Bundle(tmp_path / name)
        for engine, record in zip(read.manifest.engines, bundle.engines, strict=True):
            files = [job_of(read, engine, backend).file for backend in (OnnxRuntime, Flagged) if runs(target, backend)]
            exact = [sum(not quantized for quantized in convolutions(onnx.load(file)).values()) for file in files]
            left[f"{name} {engine.precision}"] = exact
            assert record.calibration is not None
            assert len(record.calibration.not_on_tensorrt_8) == LACKING
    assert left == {
        "jetson-orin-nx int8": [0, LACKING],
        "jetson-orin-nx int8-fp16": [0, LACKING],
        "jetson-xavier int8": [LACKING],
        "jetson-xavier int8-fp16": [LACKING],
    }
    manifest = json.loads((tmp_path / "jetson-orin-nx" / "bundle.json").read_bytes())
    assert manifest["engines"][0]["flagged_file"] == f"models/{NETWORK}.int8.flags.onnx"


def runs(target: Target, backend: type[OnnxRuntime]) -> bool:
    """Whether a backend of this kind, by flags or by file, is among the target's versions."""
    flags = {version.startswith("8.") for version in target.tensorrt_versions}
    return (backend is not OnnxRuntime) in flags


def test_blocks_that_cannot_be_quantized_everywhere_are_not_compared(make_set: MakeSet, tmp_path: Path) -> None:
    root = make_set(range(1), networks=(NETWORK,))
    with pytest.raises(ConfigurationError, match=f"no int8 kernel for {LACKING} convolutions of {NETWORK}") as caught:
        deploy(root, tmp_path / "bundle", "jetson", ("int8",), ("minmax",), attribute=("only",))
    assert "without TensorRT 8" in caught.value.hint
    assert not (tmp_path / "bundle").exists()

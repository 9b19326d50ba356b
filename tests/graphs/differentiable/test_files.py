"""Whole files of every network and precision, against ONNX Runtime and against the network in PyTorch."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper
from torch import Tensor
from torch.func import functional_call

from segeval.deploy.engine_files import at_precision
from segeval.errors import EngineError
from segeval.files.images import RgbImage
from segeval.graphs.calibration import CalibrationSpec, parse_calibration
from segeval.graphs.differentiable import EngineInTheLoop, GraphSegmenter, OnnxRuntimeLogits
from segeval.graphs.differentiable.node import Working
from segeval.graphs.differentiable.steps import Reader, Step
from segeval.graphs.export import IMAGE, LABELS, NETWORK_OUTPUT, export_fp32
from segeval.graphs.half import HalfModel
from segeval.graphs.noise_floor import measure_noise_floor
from segeval.graphs.quantize import to_int8
from segeval.graphs.session import DeployedModel, open_session
from segeval.models import Segmenter, load_model
from segeval.models.loading import build_network, load_spec
from segeval.precision import Precision

if TYPE_CHECKING:
    from tests.graphs.conftest import Trained

NETWORKS = ("espnet-synthetic", "fast-scnn-synthetic")
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8", "int8-fp16")
Files = dict[tuple[str, Precision], ModelProto]


def as_images(pictures: Sequence[RgbImage]) -> Tensor:
    """(N, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) / 255


def labels_of(logits: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return logits.argmax(1).numpy()


@pytest.fixture(scope="module")
def files(trained: "Trained") -> Files:
    """Every bundled network at every precision."""
    whole = {name: to_int8(trained.files[name], trained.calibration, CalibrationSpec()) for name in NETWORKS}
    return {
        (name, precision): at_precision(trained.files[name], precision, lambda name=name: whole[name])  # type: ignore[misc]
        for name in NETWORKS
        for precision in PRECISIONS
    }


@pytest.mark.parametrize("network", NETWORKS)
def test_a_float_file_has_the_labels_of_onnx_runtime_and_the_gradient_of_the_network(
    network: str, files: Files, trained: "Trained"
) -> None:
    model, images = files[network, "fp32"], as_images(trained.scenes)
    graph, segmenter = GraphSegmenter(model), load_model(network)
    with torch.no_grad():
        labels = labels_of(graph(images))
    assert np.mean(labels == np.stack([DeployedModel(model).predict(scene) for scene in trained.scenes])) >= 0.999
    half = files[network, "fp16"]
    with torch.no_grad():
        labels = labels_of(GraphSegmenter(half)(images))
    assert np.mean(labels == np.stack([HalfModel(half).run(scene).labels for scene in trained.scenes])) >= 0.999
    gradients = []
    for victim in (graph.double(), segmenter.double()):  # in float32 a ReLU or two fall to the other side
        given = images[:1].double().requires_grad_()
        (gradient,) = torch.autograd.grad(victim(given).square().mean(), given)
        gradients.append(gradient)
    error = (gradients[0] - gradients[1]).norm() / gradients[1].norm()
    assert error < 1e-4, "batch normalization is folded in float32"


@pytest.mark.parametrize("precision", ["int8", "int8-fp16"])
@pytest.mark.parametrize("network", NETWORKS)
def test_a_rounded_file_differs_by_no_more_than_two_orders_of_its_sums_do(
    network: str, precision: Precision, files: Files, trained: "Trained"
) -> None:
    """The noise floor is how far one order of sums is from another: two may lie at both sides of the exact result.

    In half precision the other order is that of half arithmetic: ONNX Runtime itself leaves out most of its roundings.
    """
    model = files[network, precision]
    floor = measure_noise_floor(model, trained.scenes)
    assert floor is not None
    with torch.no_grad():
        labels = labels_of(GraphSegmenter(model)(as_images(trained.scenes)))
    simulated, half = DeployedModel(model, simulated=True), HalfModel(model)
    other = [half.run(each).labels if precision == "int8-fp16" else simulated.predict(each) for each in trained.scenes]
    assert np.mean(labels != np.stack(other)) <= 2 * floor.share


def bound(step: Step, node: NodeProto, inputs: Sequence[Tensor | None], half: bool) -> Tensor:
    """By how much an operator's result may differ between two orders of its sums.

    A sum of n products in float32 is at most n · 2⁻²⁴ · Σ|products| from the exact one (Higham 2002, equation 3.5).
    half: whether results are rounded to half precision, which ONNX Runtime does inside an interpolation, too.
    """
    sizes = [None if each is None else each.abs() for each in inputs]
    if node.op_type == "BatchNormalization" and sizes[3] is not None:
        sizes[3] = -sizes[3]  # it is subtracted
    size = step.compute(*sizes).abs()
    if node.op_type == "PRelu" and sizes[0] is not None and sizes[1] is not None:
        size = torch.maximum(size, sizes[0] * sizes[1])
    weight = inputs[1] if node.op_type in ("Conv", "ConvTranspose", "MatMul") else None
    products = 4 if weight is None else weight.numel() // (1 if node.op_type == "MatMul" else len(weight)) + 1
    roundings = 4 if node.op_type == "Resize" else 1
    rounded = roundings * torch.clamp(size * 2.0**-11, min=2.0**-25) if half else 0
    bound: Tensor = 2 * (products * 2.0**-24 * size + rounded)
    return bound


@pytest.mark.parametrize("precision", ["int8", "int8-fp16"])
@pytest.mark.parametrize("network", NETWORKS)
def test_every_operator_gives_what_onnx_runtime_gives_of_the_same_values(
    network: str, precision: Precision, files: Files, trained: "Trained"
) -> None:
    """Quantized values to the bit, sums within the bound of float32: no rounding is left to chance."""
    model = files[network, precision]
    reader = Reader(model, Working())
    steps = reader.needed([NETWORK_OUTPUT])
    shown = ModelProto()
    shown.CopyFrom(model)
    outputs = [name for step in steps for name in step.outputs]
    kinds = {name: reader.values[name].element for name in outputs}
    shown.graph.output.extend(helper.make_tensor_value_info(name, kinds[name], None) for name in outputs)
    found = open_session(shown, optimised=False).run(outputs, {IMAGE: trained.scenes[0][None]})
    values = {name: torch.from_numpy(value).float() for name, value in zip(outputs, found, strict=True)}
    values |= reader.constants | {IMAGE: torch.from_numpy(trained.scenes[0][None]).float()}
    producers = {name: node for node in model.graph.node for name in node.output}
    rounded = 0
    for step in steps:
        name = step.outputs[0]
        inputs = [values.get(each) for each in step.inputs]
        own, node = step.compute(*inputs), producers[name]
        if node.op_type == "DequantizeLinear":
            assert torch.equal(own, values[name]), name
            rounded += 1
        else:
            error = (own - values[name]).abs()
            assert (error <= bound(step, node, inputs, kinds[name] == TensorProto.FLOAT16)).all(), (
                f"{node.op_type} {name}: {error.max()}"
            )
    assert rounded > 10


def test_espnetv2_has_the_logits_of_onnx_runtime_with_any_weights() -> None:
    torch.manual_seed(0)
    spec = load_spec("espnetv2-cityscapes")
    model = export_fp32(Segmenter(spec, build_network(spec, None)), 128, 256)
    images = torch.rand(1, 3, 128, 256).mul(255).round().div(255)
    with torch.no_grad():
        own = GraphSegmenter(model)(images)
    other = OnnxRuntimeLogits(model)(images)
    assert (own - other).abs().max() <= 1e-4 * other.abs().max()


@pytest.mark.parametrize("network", ["espnet-camvid", "fast-scnn-camvid", "espnetv2-cityscapes"])
def test_published_weights_have_the_labels_of_onnx_runtime(network: str, data: Path, trained: "Trained") -> None:
    segmenter = load_model(network)
    model = export_fp32(segmenter, 128, 256)
    with torch.no_grad():
        labels = labels_of(GraphSegmenter(model)(as_images(trained.scenes[:1])))
    assert np.mean(labels[0] == DeployedModel(model).predict(trained.scenes[0])) >= 0.999


def test_a_file_for_integers_is_computed_too(trained: "Trained") -> None:
    """With uint8 activations and pairs around sums, as integer kernels want them."""
    spec = parse_calibration("minmax,placement=fused,activations=uint8")
    model = to_int8(trained.files["fast-scnn-synthetic"], trained.calibration[:1], spec)
    images = as_images(trained.scenes[:1]).requires_grad_()
    logits = GraphSegmenter(model)(images)
    equal = np.mean(labels_of(logits.detach())[0] == DeployedModel(model, optimised=False).predict(trained.scenes[0]))
    (gradient,) = torch.autograd.grad(logits.square().mean(), images)
    assert equal > 0.98 and torch.count_nonzero(gradient) > gradient.numel() / 2


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_no_result_depends_on_the_batch(precision: Precision, files: Files, trained: "Trained") -> None:
    graph, images = GraphSegmenter(files["espnet-synthetic", precision]), as_images(trained.scenes)
    with torch.no_grad():
        whole = graph(images)
        assert torch.equal(whole, torch.cat([graph(each) for each in torch.split(images, 1)]))
        assert torch.equal(whole.flip(0), graph(images.flip(0)))


def test_a_file_for_batches_takes_any_number(trained: "Trained") -> None:
    segmenter = load_model("fast-scnn-synthetic")
    graph = GraphSegmenter(export_fp32(segmenter, 64, 128, batch=2))
    images = torch.rand(3, 3, 64, 128)
    with torch.no_grad():
        logits, expected = graph(images), segmenter(images)
        assert logits.shape == expected.shape and torch.allclose(logits, expected, atol=1e-3)
        assert torch.equal(graph(images[2:]), logits[2:])


def test_weights_are_buffers_of_any_type_and_the_file_is_left_alone(files: Files, trained: "Trained") -> None:
    model = files["espnet-synthetic", "int8"]
    before = model.SerializeToString()
    graph, images = GraphSegmenter(model), as_images(trained.scenes[:1])
    assert not list(graph.parameters()) and sum(buffer.numel() for buffer in graph.buffers()) > 200_000
    single = graph(images)
    double = graph.double()(images.double())
    assert double.dtype == torch.float64 and single.dtype == torch.float32
    assert np.mean(labels_of(double) == labels_of(single)) > 0.97
    assert model.SerializeToString() == before


def test_other_weights_in_the_place_of_a_files_have_a_gradient(files: Files, trained: "Trained") -> None:
    """A bias of the last convolution, at an eighth of the resolution, lifts one class everywhere."""
    graph, images = GraphSegmenter(files["fast-scnn-synthetic", "fp32"]), as_images(trained.scenes[:1])
    (name,) = (each for each in graph.graph.buffers_of if each.endswith("classifier.conv.1.bias"))
    buffer = f"graph.{graph.graph.buffers_of[name]}"
    bias = graph.get_buffer(buffer).clone().requires_grad_()
    lifted = torch.zeros_like(bias)
    lifted[7] = 3
    logits = functional_call(graph, {buffer: bias + lifted}, (images,))
    assert torch.allclose(logits - graph(images), lifted.view(1, -1, 1, 1).expand_as(logits), atol=1e-4)
    (gradient,) = torch.autograd.grad(logits.mean((0, 2, 3)).dot(lifted), bias)
    assert torch.allclose(gradient, lifted, atol=1e-4)


def test_the_engine_has_the_values_and_the_graph_the_gradient(files: Files, trained: "Trained") -> None:
    model = files["espnet-synthetic", "int8"]
    graph, engine = GraphSegmenter(model), OnnxRuntimeLogits(model, simulated=True)
    images = as_images(trained.scenes).requires_grad_()
    logits = EngineInTheLoop(graph, engine)(images)
    labels = np.stack([DeployedModel(model, simulated=True).predict(scene) for scene in trained.scenes])
    assert np.array_equal(labels_of(logits.detach()), labels), "of every pixel"
    assert torch.equal(logits.detach(), engine(images.detach()))
    weights = torch.rand(logits.shape)
    (gradient,) = torch.autograd.grad((logits * weights).sum(), images)
    (expected,) = torch.autograd.grad((graph(images) * weights).sum(), images)
    assert torch.equal(gradient, expected)
    with pytest.raises(EngineError, match="the engine gives"):
        EngineInTheLoop(graph, lambda given: given)(images)


def test_logits_are_what_argmax_takes(files: Files) -> None:
    model = ModelProto()
    model.CopyFrom(files["espnet-synthetic", "fp32"])
    graph = GraphSegmenter(model)
    assert graph.graph.outputs == (NETWORK_OUTPUT,) and graph.batch == 1
    last = next(node for node in model.graph.node if node.op_type == "ArgMax")
    last.attribute[[each.name for each in last.attribute].index("axis")].i = 3
    with pytest.raises(EngineError, match="axis 3"):
        GraphSegmenter(model)
    model.graph.output[0].name = NETWORK_OUTPUT
    with pytest.raises(EngineError, match="not a label map"):
        GraphSegmenter(model)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    with pytest.raises(EngineError, match=r"image of the file is FLOAT \(1, 128, 256, 3\)"):
        GraphSegmenter(model)


def test_a_file_whose_gradient_is_cut_says_so() -> None:
    nodes = [
        helper.make_node("Cast", [IMAGE], ["whole"], to=TensorProto.INT32),
        helper.make_node("Cast", ["whole"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["real"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("ArgMax", ["planes"], ["classes"], axis=1, keepdims=0),
        helper.make_node("Cast", ["classes"], [LABELS], to=TensorProto.INT32),
    ]
    ends = [
        helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, ("N", 4, 4, 3)),
        helper.make_tensor_value_info(LABELS, TensorProto.INT32, ("N", 4, 4)),
    ]
    graph = helper.make_graph(nodes, "cut", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    segmenter = GraphSegmenter(model)
    assert torch.equal(segmenter(torch.ones(2, 3, 4, 4)), torch.full((2, 3, 4, 4), 255.0))
    with pytest.raises(EngineError, match="no gradient from its logits"):
        segmenter(torch.ones(2, 3, 4, 4, requires_grad=True))

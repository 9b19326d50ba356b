"""Roundings and what they cut: values and gradients in closed form, and in files."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data
from torch import Tensor

from segeval.errors import EngineError
from segeval.graphs.contract import tensors
from segeval.graphs.differentiable import DifferentiableGraph
from segeval.graphs.differentiable.node import Working
from segeval.graphs.differentiable.steps import Reader
from segeval.graphs.session import open_session

Constants = dict[str, NDArray[Any]]


def file(
    nodes: Sequence[NodeProto],
    constants: Constants,
    shape: Sequence[int],
    kinds: tuple[int, int] = (TensorProto.FLOAT, TensorProto.FLOAT),
    opset: int = 17,
) -> ModelProto:
    """A file from x to y. kinds: their types."""
    ends = [helper.make_tensor_value_info(name, kind, shape) for name, kind in zip("xy", kinds, strict=True)]
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(list(nodes), "test", ends[:1], ends[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def with_gradient(model: ModelProto, x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """What a file makes of x, and the gradient of the weighted sum of that."""
    given = x.clone().requires_grad_()
    (y,) = DifferentiableGraph(model)(given)
    (gradient,) = torch.autograd.grad((y * weights).sum(), given)
    return y.detach(), gradient


def quantized(
    between: str, scale: NDArray[Any], zero: NDArray[Any], axis: int = 1
) -> tuple[list[NodeProto], Constants]:
    """x → QuantizeLinear → an operator, if it has a name → DequantizeLinear → y."""
    middle = [helper.make_node(between, ["q"], ["m"])] if between else []
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], axis=axis),
        *middle,
        helper.make_node("DequantizeLinear", ["m" if between else "q", "scale", "zero"], ["y"], axis=axis),
    ]
    return nodes, {"scale": scale, "zero": zero}


@pytest.mark.parametrize("between", ["", "Identity"])
@pytest.mark.parametrize(
    ("dtype", "zero", "lowest", "highest"), [(np.int8, 0, -128, 127), (np.uint8, 0, 0, 255), (np.uint8, 77, 0, 255)]
)
def test_a_pair_rounds_half_to_even_and_only_what_is_cut_has_no_gradient(
    dtype: type, zero: int, lowest: int, highest: int, between: str
) -> None:
    """Scale 1/4: x / scale is exact, and so are ties. As one step, and with an operator between the two."""
    levels = np.array([lowest, lowest - 0.25, lowest - 0.5, lowest - 0.75, lowest - 9, lowest + 0.5, lowest + 1.5])
    levels = np.concatenate([levels, [highest, highest + 0.25, highest + 0.75, highest + 9, highest - 0.5, 0.5, 1.5]])
    x = ((levels - zero) / 4).astype(np.float32)
    rounded = np.rint(levels.astype(np.float32) - zero) + zero
    kept = (rounded >= lowest) & (rounded <= highest)
    assert list(kept[[0, 1, 3, 4, 7, 8, 9, 10]]) == [True, True, False, False, True, True, False, False]
    nodes, constants = quantized(between, np.array(0.25, np.float32), np.array(zero, dtype))
    weights = torch.arange(1.0, len(x) + 1)
    y, gradient = with_gradient(file(nodes, constants, x.shape), torch.from_numpy(x), weights)
    expected = (np.clip(rounded, lowest, highest) - zero) / 4
    assert np.array_equal(y.numpy(), expected.astype(np.float32))
    assert np.array_equal(gradient.numpy(), np.where(kept, weights.numpy(), 0).astype(np.float32))


@pytest.mark.parametrize(("zero", "lowest", "highest", "dtype"), [(0, -128, 127, np.int8), (9, 0, 255, np.uint8)])
def test_values_and_gradient_are_those_of_pytorchs_fake_quantization(
    zero: int, lowest: int, highest: int, dtype: type
) -> None:
    """With a power of two as scale; with another PyTorch multiplies by its reciprocal and ties fall otherwise."""
    x = torch.randn(4096, generator=torch.Generator().manual_seed(0)) * 40
    nodes, constants = quantized("", np.array(0.5, np.float32), np.array(zero, dtype))
    y, gradient = with_gradient(file(nodes, constants, x.shape), x, torch.ones(4096))
    given = x.clone().requires_grad_()
    other = torch.fake_quantize_per_tensor_affine(given, 0.5, zero, lowest, highest)
    assert torch.equal(y, other) and 0.02 < (gradient == 0).float().mean() < 0.5
    assert torch.equal(gradient, torch.autograd.grad(other.sum(), given)[0])


def test_a_pair_per_channel_is_that_of_onnx_runtime() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(0, 3, (2, 3, 4, 5)).astype(np.float32)
    scales, zeros = np.array([0.013, 0.02, 0.3], np.float32), np.array([0, 100, 255], np.uint8)
    nodes, constants = quantized("", scales, zeros)
    model = file(nodes, constants, x.shape)
    (step,) = Reader(model, Working()).needed(["y"])
    assert step.inputs == ("x", "scale", "zero"), "one step for both"
    y, gradient = with_gradient(model, torch.from_numpy(x), torch.ones(x.shape))
    (expected,) = open_session(model, optimised=False).run(["y"], {"x": x})
    assert np.array_equal(y.numpy(), expected)
    levels = np.rint(x / scales[:, None, None]) + zeros[:, None, None]
    assert np.array_equal(gradient.numpy(), (levels >= 0) & (levels <= 255))


def test_a_pair_of_other_scale_or_axis_is_none() -> None:
    nodes, constants = quantized("", np.array(0.25, np.float32), np.array(0, np.int8))
    nodes[1].input[1] = "other"
    model = file(nodes, constants | {"other": np.array(0.5, np.float32)}, (3,))
    y, gradient = with_gradient(model, torch.tensor([0.3, 40.0, 31.75]), torch.ones(3))
    assert y.tolist() == [0.5, 63.5, 63.5] and gradient.tolist() == [2, 0, 2]
    nodes, constants = quantized("", np.array([1, 4], np.float32), np.zeros(2, np.int8), axis=0)
    nodes[1].attribute[0].i = 1
    y, gradient = with_gradient(file(nodes, constants, (2, 2)), torch.full((2, 2), 8.0), torch.ones(2, 2))
    assert y.tolist() == [[8, 32], [2, 8]] and gradient.tolist() == [[1, 4], [0.25, 1]]


def test_a_gradient_passes_operators_between_the_two() -> None:
    """As quantizers leave them: the largest of rounded values, moved about."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("MaxPool", ["q"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Transpose", ["p"], ["t"], perm=[0, 1, 3, 2]),
        helper.make_node("DequantizeLinear", ["t", "scale", "zero"], ["y"]),
    ]
    constants: Constants = {"scale": np.array(0.5, np.float32), "zero": np.array(3, np.uint8)}
    model = file(nodes, constants, (1, 1, 4, 4))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 1, 2, 2)))
    x = torch.arange(16.0).view(1, 1, 4, 4)
    y, gradient = with_gradient(model, x, torch.tensor([1.0, 2, 3, 4]).view(1, 1, 2, 2))
    assert y.flatten().tolist() == [5, 13, 7, 15]
    assert gradient.nonzero()[:, 2:].tolist() == [[1, 1], [1, 3], [3, 1], [3, 3]]
    assert gradient[gradient != 0].tolist() == [1, 3, 2, 4]


@pytest.mark.parametrize(
    ("operator", "expected"),
    [("Round", [-2, 2, 2, 0]), ("Floor", [-2, 1, 2, -1]), ("Ceil", [-1, 2, 3, 0])],
)
def test_a_rounding_passes_the_gradient(operator: str, expected: list[float]) -> None:
    model = file([helper.make_node(operator, ["x"], ["y"])], {}, (4,))
    y, gradient = with_gradient(model, torch.tensor([-1.5, 1.5, 2.5, -0.25]), torch.tensor([1.0, 2, 3, 4]))
    assert y.tolist() == expected and gradient.tolist() == [1, 2, 3, 4]


def test_a_clip_keeps_the_gradient_at_its_bounds() -> None:
    nodes = [helper.make_node("Clip", ["x", "low", "high"], ["y"])]
    model = file(nodes, {"low": np.array(0, np.float32), "high": np.array(6, np.float32)}, (5,))
    y, gradient = with_gradient(model, torch.tensor([-0.1, 0, 3, 6, 6.1]), torch.ones(5))
    assert y.tolist() == [0, 0, 3, 6, 6] and gradient.tolist() == [0, 1, 1, 1, 0]


def test_casts_of_images_pass_the_gradient() -> None:
    """From levels, and to them; a byte is a byte also if it comes as one."""
    to_real = file([helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)], {}, (3,), (2, 1))
    y, gradient = with_gradient(to_real, torch.tensor([0.0, 3.25, 255]), torch.tensor([1.0, 2, 3]))
    assert y.tolist() == [0, 3.25, 255] and gradient.tolist() == [1, 2, 3]
    assert DifferentiableGraph(to_real)(torch.tensor([0, 3, 255], dtype=torch.uint8))[0].tolist() == [0, 3, 255]
    to_level = file([helper.make_node("Cast", ["x"], ["y"], to=TensorProto.UINT8)], {}, (4,), (1, 2))
    y, gradient = with_gradient(to_level, torch.tensor([0.9, 3.25, 255, 255.9]), torch.tensor([1.0, 2, 3, 4]))
    assert y.tolist() == [0, 3, 255, 255] and gradient.tolist() == [1, 2, 3, 4]
    assert (
        open_session(to_level).run(None, {"x": np.array([0.9, 3.25, 255, 255.9], np.float32)})[0].tolist() == y.tolist()
    )


def test_half_precision_rounds_every_result_and_passes_the_gradient() -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("Mul", ["half", "third"], ["product"]),
        helper.make_node("Cast", ["product"], ["y"], to=TensorProto.FLOAT),
    ]
    third = np.array(1 / 3, np.float16)
    model = file(nodes, {"third": third}, (64,))
    x = torch.linspace(-3, 70000, 64)
    y, gradient = with_gradient(model, x, torch.ones(64))
    with np.errstate(over="ignore"):
        expected = (x.numpy().astype(np.float16) * third).astype(np.float32)
    assert np.array_equal(y.numpy(), expected) and np.isinf(expected).any()
    assert (gradient == float(third)).all()


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([helper.make_node("Tan", ["x"], ["y"], "n")], "Tan n: this operator"),
        ([helper.make_node("FFT", ["x"], ["y"], "n", domain="own")], "operators of own"),
        ([helper.make_node("Gelu", ["x"], ["y"], "n", approximate="cubic")], "Gelu n: approximate 'cubic'"),
    ],
)
def test_what_is_unknown_is_refused_by_name_when_a_file_is_read(nodes: list[NodeProto], said: str) -> None:
    model = file(nodes, {}, (2, 2), opset=20)
    model.opset_import.append(helper.make_opsetid("own", 1))
    with pytest.raises(EngineError, match=said) as caught:
        DifferentiableGraph(model)
    assert caught.value.hint


def test_integer_operators_are_refused_with_the_way_out() -> None:
    constants: Constants = {
        "s": np.array(1, np.float32),
        "z": np.array(0, np.int8),
        "w": np.ones((1, 1, 1, 1), np.int8),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("QLinearConv", ["q", "s", "z", "w", "s", "z", "s", "z"], ["r"], "n"),
        helper.make_node("DequantizeLinear", ["r", "s", "z"], ["y"]),
    ]
    with pytest.raises(EngineError, match="QLinearConv n") as caught:
        DifferentiableGraph(file(nodes, constants, (1, 1, 2, 2)))
    assert "QDQ" in caught.value.hint


def test_other_faults_are_named() -> None:
    identity = file([helper.make_node("Identity", ["x"], ["y"])], {}, (2,))
    with pytest.raises(EngineError, match=r"no value z"):
        DifferentiableGraph(identity, ["z"])
    with pytest.raises(EngineError, match=r"x is \(3,\); the file takes \(2,\)"):
        DifferentiableGraph(identity)(torch.zeros(3))
    elsewhere = file([helper.make_node("Add", ["x", "w"], ["y"])], {"w": np.ones(2, np.float32)}, (2,))
    for _, tensor in tensors(elsewhere):
        set_external_data(tensor, "/etc/hostname")
    with pytest.raises(EngineError, match="stores the values of w in another file"):
        DifferentiableGraph(elsewhere)
    with pytest.raises(EngineError, match="2 were given"):
        DifferentiableGraph(identity)(torch.zeros(2), torch.zeros(2))
    identity.opset_import[0].version = 9
    with pytest.raises(EngineError, match="opset 9"):
        DifferentiableGraph(identity)
    identity.graph.node[0].op_type = "Nothing"
    with pytest.raises(EngineError, match="not a valid ONNX file"):
        DifferentiableGraph(identity)

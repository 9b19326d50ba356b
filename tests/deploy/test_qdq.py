from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from segeval.deploy.contract import check_contract
from segeval.deploy.export import network_of, with_network
from segeval.deploy.precision import to_fp16
from segeval.deploy.qdq import check_qdq
from segeval.deploy.quantize import network_inputs, to_int8
from segeval.deploy.specs import CalibrationSpec
from segeval.errors import EngineError
from segeval.store import RgbImage

DEFAULT = CalibrationSpec()
SIZE = (64, 128)


@pytest.fixture(scope="module")
def fp32(exported: dict[str, ModelProto]) -> ModelProto:
    return exported["espnet-synthetic"]


@pytest.fixture(scope="module")
def good(fp32: ModelProto, pictures: list[RgbImage]) -> ModelProto:
    return to_int8(fp32, pictures[:2], CalibrationSpec("minmax"))


@pytest.fixture
def broken(good: ModelProto) -> ModelProto:
    """A copy to break."""
    copy = ModelProto()
    copy.CopyFrom(good)
    return copy


def first(model: ModelProto, op_type: str) -> NodeProto:
    found: NodeProto = next(node for node in model.graph.node if node.op_type == op_type)
    return found


def source(model: ModelProto, name: str) -> NodeProto:
    found: NodeProto = next(node for node in model.graph.node if name in node.output)
    return found


def constant(model: ModelProto, name: str) -> TensorProto:
    found: TensorProto = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    return found


def set_constant(model: ModelProto, name: str, value: NDArray[np.generic]) -> None:
    constant(model, name).CopyFrom(numpy_helper.from_array(value, name))


def test_our_file_follows_every_rule(good: ModelProto) -> None:
    check_qdq(good, DEFAULT)


@pytest.mark.parametrize("network", ["espnet-synthetic", "fast-scnn-synthetic"])
def test_more_operators_can_be_quantized_under_the_same_rules(
    network: str, exported: dict[str, ModelProto], pictures: list[RgbImage]
) -> None:
    spec = CalibrationSpec("minmax", op_types=("Conv", "ConvTranspose", "Add"))
    check_qdq(to_int8(exported[network], pictures[:2], spec), spec)


def nonzero_zero_point(model: ModelProto) -> None:
    node = first(model, "QuantizeLinear")
    set_constant(model, node.input[2], numpy_helper.to_array(constant(model, node.input[2])) + np.int8(1))


def unsigned(model: ModelProto) -> None:
    node = first(model, "QuantizeLinear")
    set_constant(model, node.input[2], numpy_helper.to_array(constant(model, node.input[2])).astype(np.uint8))


def no_zero_point(model: ModelProto) -> None:
    del first(model, "QuantizeLinear").input[2:]


def half_scale(model: ModelProto) -> None:
    node = first(model, "QuantizeLinear")
    set_constant(model, node.input[1], numpy_helper.to_array(constant(model, node.input[1])).astype(np.float16))


def zero_scale(model: ModelProto) -> None:
    node = first(model, "QuantizeLinear")
    set_constant(model, node.input[1], np.zeros((), np.float32))


def one_scale_for_all_weights(model: ModelProto) -> None:
    dequantize = source(model, first(model, "Conv").input[1])
    for position in (1, 2):
        name = dequantize.input[position]
        set_constant(model, name, numpy_helper.to_array(constant(model, name))[:1].reshape(()))


def scales_along_the_wrong_axis(model: ModelProto) -> None:
    dequantize = source(model, first(model, "Conv").input[1])
    for attribute in dequantize.attribute:
        attribute.i = 1


def quantized_bias(model: ModelProto) -> None:
    convolution = next(node for node in model.graph.node if node.op_type == "Conv" and len(node.input) == 3)
    quantize = first(model, "QuantizeLinear")
    pair = [
        helper.make_node("QuantizeLinear", [convolution.input[2], *quantize.input[1:]], ["bias_q"], "bias_q"),
        helper.make_node("DequantizeLinear", ["bias_q", *quantize.input[1:]], ["bias_dq"], "bias_dq"),
    ]
    convolution.input[2] = "bias_dq"
    for node in pair:
        model.graph.node.insert(0, node)


def unquantized_activation(model: ModelProto) -> None:
    convolution = first(model, "Conv")
    dequantize = source(model, convolution.input[0])
    convolution.input[0] = source(model, dequantize.input[0]).input[0]


def unquantized_weight(model: ModelProto) -> None:
    convolution = first(model, "Conv")
    dequantize = source(model, convolution.input[1])
    convolution.input[1] = source(model, dequantize.input[0]).input[0]


def rounded_residual(model: ModelProto) -> None:
    first(model, "Add").input[0] = source(model, first(model, "Conv").input[0]).output[0]


def other_operator_takes_integers(model: ModelProto) -> None:
    first(model, "Concat").input[0] = first(model, "QuantizeLinear").output[0]


def stored_integers(model: ModelProto) -> None:
    dequantize = source(model, first(model, "Conv").input[1])
    weight = numpy_helper.to_array(constant(model, source(model, dequantize.input[0]).input[0]))
    model.graph.initializer.append(numpy_helper.from_array(np.ones(weight.shape, np.int8), "stored"))
    dequantize.input[0] = "stored"


def different_scales_in_a_pair(model: ModelProto) -> None:
    dequantize = source(model, first(model, "Conv").input[0])
    model.graph.initializer.append(numpy_helper.from_array(np.array(0.5, np.float32), "other"))
    dequantize.input[1] = "other"


def nothing_quantized(model: ModelProto) -> None:
    for node in list(model.graph.node):
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            model.graph.node.remove(node)


def later_opset(model: ModelProto) -> None:
    model.opset_import[0].version = 18


def later_ir(model: ModelProto) -> None:
    model.ir_version = 9


def foreign_operator(model: ModelProto) -> None:
    first(model, "Conv").domain = "com.microsoft"


def float_input(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


def long_output(model: ModelProto) -> None:
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64


def channels_first(model: ModelProto) -> None:
    for position, size in enumerate((1, 3, *SIZE)):
        model.graph.input[0].type.tensor_type.shape.dim[position].dim_value = size


def dynamic_batch(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"


def half_constant(model: ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.ones(1, np.float16), "half"))


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (nonzero_zero_point, "zero-point must be 0"),
        (unsigned, "zero-point must be int8"),
        (no_zero_point, "zero-point must be a stored constant"),
        (half_scale, "scale must be fp32"),
        (zero_scale, "positive number"),
        (one_scale_for_all_weights, "one scale per output channel"),
        (scales_along_the_wrong_axis, "one scale per output channel"),
        (quantized_bias, "bias must not be quantized"),
        (unquantized_activation, "activation must come through DequantizeLinear"),
        (unquantized_weight, "weight must come through DequantizeLinear"),
        (rounded_residual, "Add must not be quantized"),
        (other_operator_takes_integers, "only DequantizeLinear may take int8"),
        (stored_integers, "in a pair"),
        (different_scales_in_a_pair, "those of its QuantizeLinear"),
        (nothing_quantized, "nothing is quantized"),
        (later_opset, "opset 17"),
        (later_ir, "IR 8"),
        (foreign_operator, "standard operators"),
        (float_input, "input must be uint8"),
        (long_output, "output must be int32"),
        (channels_first, r"\(N, H, W, 3\)"),
        (dynamic_batch, r"\(N, H, W, 3\)"),
        (half_constant, "must not hold fp16"),
    ],
)
def test_every_broken_rule_is_found(broken: ModelProto, spoil: Callable[[ModelProto], None], rule: str) -> None:
    spoil(broken)
    with pytest.raises(EngineError, match=rule):
        check_qdq(broken, DEFAULT)


def test_what_onnx_runtime_quantizes_by_default_is_refused(
    fp32: ModelProto, pictures: list[RgbImage], tmp_path: Path
) -> None:
    class Reader(CalibrationDataReader):  # type: ignore[misc]
        inputs = network_inputs(fp32, pictures[:2])

        def get_next(self) -> dict[str, object] | None:
            value = next(self.inputs, None)
            return None if value is None else {"network_input": value}

    network = network_of(fp32)
    onnx.save(network, tmp_path / "network.onnx")
    quantize_static(tmp_path / "network.onnx", tmp_path / "int8.onnx", Reader(), QuantFormat.QDQ)
    by_default = with_network(fp32, onnx.load(tmp_path / "int8.onnx"))
    with pytest.raises(EngineError, match=r"must be 0|must be int8|must not be quantized|in a pair"):
        check_qdq(by_default, DEFAULT)


def test_an_fp16_file_without_half_precision_is_refused(fp32: ModelProto) -> None:
    with pytest.raises(EngineError, match="must hold fp16 weights"):
        check_contract(fp32, "fp16")


def test_normalization_in_half_precision_is_refused(fp32: ModelProto) -> None:
    model = to_fp16(fp32)
    for value in model.graph.value_info:
        if value.name == "network_input":
            value.type.tensor_type.elem_type = TensorProto.FLOAT16
    with pytest.raises(EngineError, match="normalization must be fp32"):
        check_contract(model, "fp16")


def test_a_half_precision_cast_in_an_fp32_file_is_refused(fp32: ModelProto) -> None:
    model = ModelProto()
    model.CopyFrom(fp32)
    model.graph.node.append(helper.make_node("Cast", ["network_input"], ["half"], "half", to=TensorProto.FLOAT16))
    with pytest.raises(EngineError, match="half: an fp32 file must not hold fp16"):
        check_contract(model, "fp32")

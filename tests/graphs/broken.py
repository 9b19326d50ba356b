"""Deployed files broken in one place each, and what finds it: the project's checker, NVIDIA's compiler, or both."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

SIZE = (64, 128)

Spoil = Callable[[ModelProto], None]


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


def negative_scale(model: ModelProto) -> None:
    node = first(model, "QuantizeLinear")
    set_constant(model, node.input[1], -numpy_helper.to_array(constant(model, node.input[1])))


def scale_that_is_no_number(model: ModelProto) -> None:
    node = first(model, "QuantizeLinear")
    set_constant(model, node.input[1], np.array(np.nan, np.float32))


def too_few_scales(model: ModelProto) -> None:
    dequantize = source(model, first(model, "Conv").input[1])
    for position in (1, 2):
        name = dequantize.input[position]
        set_constant(model, name, numpy_helper.to_array(constant(model, name))[:-1])


def scale_per_channel_of_an_activation(model: ModelProto) -> None:
    """One scale for each of the three channels of the first convolution's input."""
    dequantize = source(model, first(model, "Conv").input[0])
    for position in (1, 2):
        name = dequantize.input[position]
        set_constant(model, name, np.repeat(numpy_helper.to_array(constant(model, name)), 3))


def unsigned_in_the_middle(model: ModelProto) -> None:
    """uint8 with the zero-point that an activation from -1 to 1 would have."""
    node = first(model, "QuantizeLinear")
    set_constant(model, node.input[2], np.array(128, np.uint8))


def integer_bias(model: ModelProto) -> None:
    """int32 through DequantizeLinear, as ONNX Runtime quantizes a bias by default."""
    convolution = next(node for node in model.graph.node if node.op_type == "Conv" and len(node.input) == 3)
    size = numpy_helper.to_array(constant(model, convolution.input[2])).size
    model.graph.initializer.append(numpy_helper.from_array(np.ones(size, np.int32), "bias_q"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(0.01, np.float32), "bias_scale"))
    model.graph.node.insert(0, helper.make_node("DequantizeLinear", ["bias_q", "bias_scale"], ["bias_dq"], "bias_dq"))
    convolution.input[2] = "bias_dq"


def transposed_image(model: ModelProto) -> None:
    """The image transposed before it is cast, as in files of the first contract."""
    cast, transpose = first(model, "Cast"), first(model, "Transpose")
    planes = transpose.output[0]
    transpose.input[0], transpose.output[0] = "image", "bytes"
    cast.input[0], cast.output[0] = "bytes", planes
    nodes = [transpose, cast, *[node for node in model.graph.node if node not in (cast, transpose)]]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def unknown_operator(model: ModelProto) -> None:
    model.graph.node.append(helper.make_node("Det", ["network_output"], ["added"], "added"))


def double_precision(model: ModelProto) -> None:
    model.graph.node.append(helper.make_node("Cast", ["network_output"], ["wide"], "wide", to=TensorProto.DOUBLE))
    model.graph.node.append(helper.make_node("Relu", ["wide"], ["added"], "added"))

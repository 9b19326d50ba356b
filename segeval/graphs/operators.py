"""Which operators and element types the ONNX parsers of TensorRT 8.5 to 11 take.

From the parser's own support matrix (github.com/onnx/onnx-tensorrt/docs/operators.md of 8.5-GA and 10.1-GA): an
operator is listed if both have it, with the types that both take. TensorRT reads int64 as int32 in 8.x, so the two
count as one. Types that only newer versions take (bfloat16, fp8, int4) are not listed.
"""

from collections.abc import Iterator

from onnx import ModelProto, NodeProto, TensorProto, helper
from onnx.shape_inference import infer_shapes

FLOATS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16})
INTEGERS = frozenset({TensorProto.INT32, TensorProto.INT64})
BOOLEAN = frozenset({TensorProto.BOOL})

MATRIX = {
    FLOATS: """
        Acos Acosh ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Ceil Celu Clip Conv ConvTranspose
        Cos Cosh CumSum Dropout Einsum Elu Erf Exp Floor GRU Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool
        GridSample HardSigmoid HardSwish InstanceNormalization LRN LSTM LeakyRelu Log LogSoftmax LpNormalization LpPool
        MatMul MaxPool MeanVarianceNormalization NonMaxSuppression NonZero PRelu Pow QuantizeLinear RNN Reciprocal
        ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
        ReduceSumSquare Relu Resize ReverseSequence RoiAlign Round Selu Sigmoid Sin Sinh Softmax Softplus Softsign Sqrt
        Tan Tanh ThresholdedRelu TopK Upsample""",
    FLOATS | INTEGERS: """
        Abs Add DepthToSpace Div Equal Greater GreaterOrEqual IsNaN Less LessOrEqual Max Mean Min Mod Mul Neg Pad Range
        ScatterElements ScatterND Shrink Sign SpaceToDepth Sub Sum""",
    FLOATS | INTEGERS | BOOLEAN: """
        Cast Concat Constant ConstantOfShape Expand EyeLike Flatten Gather GatherElements GatherND Identity OneHot
        Reshape Shape Size Slice Split Squeeze Tile Transpose Trilu Unsqueeze Where""",
    BOOLEAN: "And Not Or Xor",
    frozenset({TensorProto.INT8, TensorProto.UINT8}): "DequantizeLinear",
}
OPERATORS: dict[str, frozenset[int]] = {name: types for types, names in MATRIX.items() for name in names.split()}
"""The types of the values that an operator reads, by operator. What may be quantized how is `check_qdq`'s business."""

RESIZE = {
    "mode": ("nearest", "linear"),
    "coordinate_transformation_mode": (
        "half_pixel",
        "pytorch_half_pixel",
        "tf_half_pixel_for_nn",
        "asymmetric",
        "align_corners",
    ),
    "antialias": (0,),
    "keep_aspect_ratio_policy": ("stretch",),
}
"""The attributes of Resize that they take."""


def type_names(types: frozenset[int]) -> str:
    """Types in the words of ONNX: ``FLOAT, FLOAT16``."""
    return ", ".join(TensorProto.DataType.Name(each) for each in sorted(types))


def element_types(model: ModelProto) -> dict[str, int]:
    """The element type of every value of a file, inferred again, constants included."""
    graph = infer_shapes(model).graph
    values = (*graph.input, *graph.value_info, *graph.output)
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return types | {tensor.name: tensor.data_type for tensor in graph.initializer}


def refusals(model: ModelProto) -> Iterator[tuple[str, str]]:
    """Nodes that TensorRT would refuse, as (node, reason)."""
    types, constants = element_types(model), {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type not in OPERATORS:
            yield node.name, f"TensorRT 8.5 to 11 has no operator {node.op_type}"
            continue
        taken = OPERATORS[node.op_type]
        for name in filter(None, node.input):
            if name not in constants and types.get(name, 0) not in taken | operands(node, name):
                found = type_names(frozenset({types.get(name, 0)}))
                yield node.name, f"TensorRT's {node.op_type} takes {type_names(taken)}; {name} is {found}"
        yield from ((node.name, reason) for reason in attributes(node))


def operands(node: NodeProto, name: str) -> frozenset[int]:
    """More types that an operator takes: for indices and shapes, for conditions, and for the image in a Cast."""
    first = name == node.input[0]
    if node.op_type == "Cast":
        return frozenset({TensorProto.UINT8})
    if node.op_type == "Where" and first:
        return BOOLEAN
    return frozenset() if first else INTEGERS


def attributes(node: NodeProto) -> Iterator[str]:
    """Attributes of a supported operator that TensorRT does not support."""
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if node.op_type == "Resize":
        for name, values in RESIZE.items():
            value = given.get(name, values[0])
            if (value.decode() if isinstance(value, bytes) else value) not in values:
                yield f"TensorRT's Resize does not do {name} {value!r}; it does {', '.join(map(str, values))}"
    if node.op_type == "MaxPool" and len(node.output) > 1:
        yield "TensorRT's MaxPool gives no indices"
    if node.op_type in ("MaxPool", "AveragePool") and any(size != 1 for size in given.get("dilations", ())):
        yield f"TensorRT's {node.op_type} takes no dilations"

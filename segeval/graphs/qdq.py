"""The rules of an int8 file for TensorRT 8.5 to 11 and ONNX Runtime, checked on the file itself.

Explicit quantization: each quantized operator takes its activations and weights through a pair of QuantizeLinear and
DequantizeLinear. Symmetric int8 everywhere (zero-points 0), weights per channel, bias not quantized. Scales, weights
and bias are fp32, in an int8-fp16 file fp16. A calibration may ask for one scale for all weights of an operator, for
uint8 activations, for some operators only, or for another placement of the pairs. Its file must then follow that, and
all other rules.
"""

from collections import defaultdict
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.contract import broken, check_contract
from segeval.graphs.export import NETWORK_INPUT
from segeval.graphs.mixed import SMALLEST
from segeval.graphs.placement import DQ, Placement, Q
from segeval.precision import Precision

WEIGHT_AXIS = {"Conv": 0, "ConvTranspose": 1}
"""Axis of the output channels in the weights of each operator that has any."""

TYPES = {"fp32": (np.float32, TensorProto.FLOAT), "fp16": (np.float16, TensorProto.FLOAT16)}
"""The types that are not int8, in words of numpy and of ONNX."""


class QuantizedGraph:
    """A file with int8 operators, indexed for checking.

    Attributes:
        precision: int8 or int8-fp16.
        spec, chosen: what is to be quantized and how; names of None for all operators of the types.
    """

    def __init__(
        self, model: ModelProto, spec: CalibrationSpec, precision: Precision, chosen: Collection[str] | None
    ) -> None:
        self.spec, self.placement = spec, Placement(model, spec, chosen)
        self.real = "fp16" if precision == "int8-fp16" else "fp32"
        """The type of everything that is not int8."""
        self.nodes: list[NodeProto] = list(model.graph.node)
        self.constants: dict[str, TensorProto] = {tensor.name: tensor for tensor in model.graph.initializer}
        self.producer: dict[str, NodeProto] = {name: node for node in self.nodes for name in node.output}
        self.consumers: dict[str, list[NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in node.input:
                self.consumers[name].append(node)

    def normalization(self) -> set[str]:
        """Names of the nodes before the network, which are never quantized."""
        found: set[str] = set()
        open_values = [NETWORK_INPUT]
        while open_values:
            node = self.producer.get(open_values.pop())
            if node is not None and node.name not in found:
                found.add(node.name)
                open_values.extend(node.input)
        return found

    def constant(self, node: NodeProto, position: int, what: str) -> NDArray[np.generic]:
        """An input of a node that must be a stored constant."""
        name = node.input[position] if position < len(node.input) else ""
        if name not in self.constants:
            raise broken(node.name, f"its {what} must be a stored constant")
        value: NDArray[np.generic] = numpy_helper.to_array(self.constants[name])
        return value

    def pair(self, node: NodeProto, position: int, what: str) -> tuple[NodeProto, NodeProto]:
        """The QuantizeLinear and DequantizeLinear that an input of a quantized node must come through."""
        dequantize = self.producer.get(node.input[position])
        if dequantize is None or dequantize.op_type != DQ:
            raise broken(node.name, f"its {what} must come through DequantizeLinear: a quantized {node.op_type}")
        return self.producer[dequantize.input[0]], dequantize

    def scales(self, values: Collection[str]) -> set[float]:
        """The scales with which any of these activations are rounded."""
        rounding = (node for node in self.nodes if node.op_type == Q and node.input[0] in values)
        return {self.constant(node, 1, "scale").item() for node in rounding}


def check_qdq(
    model: ModelProto, spec: CalibrationSpec, precision: Precision = "int8", nodes: Collection[str] | None = None
) -> None:
    """Raise EngineError, naming node and rule, unless `model` follows every rule.

    Args:
        model: the file as it was read back.
        spec: how it was quantized.
        precision: int8 or int8-fp16.
        nodes: names of those that must be quantized, and no other; None for all operators that `spec` names.
    """
    graph = QuantizedGraph(model, spec, precision, nodes)
    outside = graph.normalization()
    quantized = [node for node in graph.nodes if graph.placement.rounded(node) and node.name not in outside]
    if not any(node.op_type == DQ for node in graph.nodes) or not quantized:
        raise broken("the file", f"nothing is quantized; {', '.join(spec.quantized_types)} should be")
    missing = set(nodes or ()) - {node.name for node in graph.nodes if node.name not in outside}
    if missing:
        raise broken(min(missing), "it should be quantized, and is not in the file")
    for node in graph.nodes:
        if node.op_type in (Q, DQ):
            check_linear(graph, node)
    for node in quantized:
        check_operator(graph, node)
    for values in graph.placement.sharing:
        if len(scales := graph.scales(values)) > 1:
            raise broken(min(values), f"it must have the scale of what it is joined with; there are {sorted(scales)}")
    check_contract(model, precision)


def check_linear(graph: QuantizedGraph, node: NodeProto) -> None:
    """The rules for one QuantizeLinear or DequantizeLinear."""
    check_scale(graph, node)
    if node.op_type == Q:
        check_zero_point(graph, node, weight=node.input[0] in graph.constants)
        for consumer in graph.consumers[node.output[0]]:
            if consumer.op_type != DQ:
                raise broken(consumer.name, f"only DequantizeLinear may take int8 values, this is {consumer.op_type}")
        return
    source = graph.producer.get(node.input[0])
    if source is None or source.op_type != Q:
        raise broken(node.name, "it must take its values from QuantizeLinear, in a pair")
    if list(source.input[1:]) != list(node.input[1:]):
        raise broken(node.name, "scale and zero-point must be those of its QuantizeLinear")
    for consumer in graph.consumers[node.output[0]]:
        for position, name in enumerate(consumer.input):
            if name == node.output[0] and not graph.placement.rounds(consumer, position):
                bias = position > 1 and consumer.op_type in WEIGHT_AXIS
                what = "its bias" if bias else consumer.op_type
                raise broken(consumer.name, f"{what} must not be quantized; {graph.placement.summary}")


def check_zero_point(graph: QuantizedGraph, node: NodeProto, weight: bool) -> None:
    """Zero-points: int8 and 0; of activations any uint8 if the calibration asks for that."""
    wanted = "int8" if weight else graph.spec.activations
    zero_point = graph.constant(node, 2, "zero-point")
    if zero_point.dtype != wanted:
        raise broken(node.name, f"its zero-point must be {wanted}, it is {zero_point.dtype}")
    if wanted == "int8" and np.any(zero_point != 0):
        raise broken(node.name, "its zero-point must be 0")


def check_scale(graph: QuantizedGraph, node: NodeProto) -> None:
    """Scales: positive, and in fp16 not so small that they lose digits."""
    scale = graph.constant(node, 1, "scale")
    if scale.dtype != TYPES[graph.real][0]:
        raise broken(node.name, f"its scale must be {graph.real}, it is {scale.dtype}")
    values = np.asarray(scale, np.float32)
    if not (np.isfinite(values).all() and np.all(values > 0)):
        raise broken(node.name, "its scale must be a positive number")
    if graph.real == "fp16" and np.any(values < SMALLEST):
        raise broken(node.name, f"its scale must be a normal fp16 number, {SMALLEST:.2e} or more")


def check_operator(graph: QuantizedGraph, node: NodeProto) -> None:
    """The rules for one quantized operator."""
    axis = WEIGHT_AXIS.get(node.op_type)
    for position in graph.placement.rounded(node):
        if axis is not None and position == 1:
            check_weight(graph, node, axis)
        elif node.input[position] not in graph.constants:
            quantize, _ = graph.pair(node, position, "activation")
            if graph.constant(quantize, 1, "scale").size != 1:
                raise broken(node.name, "its activation must have one scale for the whole tensor")
    for name in node.input[2:] if axis is not None else ():
        if name not in graph.constants or graph.constants[name].data_type != TYPES[graph.real][1]:
            raise broken(node.name, f"its bias must not be quantized, but stored in {graph.real}")


def check_weight(graph: QuantizedGraph, node: NodeProto, axis: int) -> None:
    """Weights: a stored constant, quantized with one scale per output channel, or with one in all if that is wanted."""
    quantize, dequantize = graph.pair(node, 1, "weight")
    channels = graph.constant(quantize, 0, "weight").shape[axis]
    scales = graph.constant(dequantize, 1, "scale")
    if not graph.spec.per_channel:
        if scales.size != 1:
            raise broken(node.name, f"its weights must have one scale in all, they have {scales.size}")
        return
    found = next((helper.get_attribute_value(a) for a in dequantize.attribute if a.name == "axis"), 1)
    if scales.shape != (channels,) or found != axis:
        raise broken(node.name, f"its weights must have one scale per output channel: {channels} along axis {axis}")

"""Operators that TensorRT 8.5 lacks, decomposed into ones that it has."""

from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper


def without_layer_normalization(model: ModelProto) -> ModelProto:
    """The same file with every LayerNormalization as (x - mean) / sqrt(variance + epsilon) · scale + bias.

    One whose statistics are read as well, or whose axis is counted from the first, stays as it is: the contract
    names it then.
    """
    if not any(is_plain(node) for node in model.graph.node):
        return model
    found = ModelProto()
    found.CopyFrom(model)
    del found.graph.node[:]
    for node in model.graph.node:
        nodes, constants = decomposed(node) if is_plain(node) else ([node], [])
        found.graph.node.extend(nodes)
        found.graph.initializer.extend(constants)
    return found


def is_plain(node: NodeProto) -> bool:
    """Whether a node is a LayerNormalization over the last axes, of which only the result is read."""
    axis = next((helper.get_attribute_value(each) for each in node.attribute if each.name == "axis"), -1)
    return node.op_type == "LayerNormalization" and len(list(filter(None, node.output))) == 1 and axis < 0


def decomposed(node: NodeProto) -> tuple[list[NodeProto], list[TensorProto]]:
    """The nodes that a LayerNormalization is made of, and their constants."""
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    base, x = node.name or node.output[0], node.input[0]
    axes = list(range(given.get("axis", -1), 0))
    epsilon = numpy_helper.from_array(np.array(given.get("epsilon", 1e-5), np.float32), f"{base}/epsilon_value")
    nodes: list[NodeProto] = []

    def add(operator: str, inputs: list[str], part: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [f"{base}/{part}"], name=f"{base}/{part}", **attributes))
        return f"{base}/{part}"

    centred = add("Sub", [x, add("ReduceMean", [x], "mean", axes=axes)], "centred")
    variance = add("ReduceMean", [add("Mul", [centred, centred], "square")], "variance", axes=axes)
    root = add("Sqrt", [add("Add", [variance, epsilon.name], "epsilon")], "root")
    result = add("Mul", [add("Div", [centred, root], "normal"), node.input[1]], "scaled")
    if len(node.input) > 2 and node.input[2]:
        add("Add", [result, node.input[2]], "shifted")
    nodes[-1].output[0] = node.output[0]
    return nodes, [epsilon]

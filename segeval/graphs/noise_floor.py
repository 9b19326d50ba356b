"""The noise floor of a deployed file: how many labels change if only the order of its sums changes.

Engines add the products of a convolution in different orders, and every partial sum is rounded. In fp32 this changes
hardly any label. In int8 it can move a value to the next quantization step, and everything computed from it. The labels
of two engines or devices may differ for this reason alone.

To measure it, the network is written with every operator that has stored weights as the sum of two: each weight is in
one of them and 0 in the other, so the exact result is the same. This needs only the file, whatever its operators and
precision. Double precision would need kernels that ONNX Runtime's CPU does not have.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from segeval.files.engine_records import NoiseFloor
from segeval.files.images import RgbImage
from segeval.graphs.session import DeployedModel

NOISE_IMAGES = 3
"""Clean images on which it is measured, spread evenly over the set."""

RUNS = (1, 4)
"""The other orders: number of neighbouring products that go into one sum before the next ones go into the other.

No single one serves every network: docs/quantization.md has what each finds.
"""

LINEAR = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators that add up products, by whose stored weights they can be divided."""


@dataclass(frozen=True)
class Weights:
    """Where an operator has its stored weights.

    Attributes:
        position: of its inputs.
        pairs: the QuantizeLinear and DequantizeLinear that they come through, if any, in this order.
    """

    position: int
    constant: TensorProto
    pairs: tuple[NodeProto, ...]


def measure_noise_floor(model: ModelProto, images: Iterable[RgbImage]) -> NoiseFloor | None:
    """Compare the labels of a file with those of its other orders, on ONNX Runtime's CPU.

    None if it has no operator with stored weights, so that there is nothing to add up otherwise.

    Raises EngineError.

    Args:
        model: the deployed file.
        images: at least one.
    """
    others = {f"runs of {run}": reordered(model, run) for run in RUNS}
    sessions = {name: DeployedModel(other, simulated=True) for name, other in others.items() if other is not None}
    if not sessions:
        return None
    own = DeployedModel(model, simulated=True)
    seen = pixels = 0
    changed = dict.fromkeys(sessions, 0)
    for image in images:
        labels = own.predict(image)
        seen, pixels = seen + 1, pixels + labels.size
        for name, session in sessions.items():
            changed[name] += int(np.count_nonzero(session.predict(image) != labels))
    return NoiseFloor(seen, pixels, changed)


def reordered(model: ModelProto, run: int) -> ModelProto | None:
    """The same network with every sum of products added up as two; None if there is none in it.

    Args:
        model: the file.
        run: how many neighbouring products go into the same of the two.
    """
    other = ModelProto()
    other.CopyFrom(model)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    producers = {name: node for node in model.graph.node for name in node.output}
    del other.graph.node[:]
    for node in model.graph.node:
        weights = stored_weights(node, constants, producers)
        if weights is None:
            other.graph.node.append(node)
            continue
        halves, nodes = two_sums(node, weights, run)
        other.graph.initializer.extend(halves)
        other.graph.node.extend(nodes)
    return other if len(other.graph.node) > len(model.graph.node) else None


def stored_weights(
    node: NodeProto, constants: Mapping[str, TensorProto], producers: Mapping[str, NodeProto]
) -> Weights | None:
    """The weights of an operator that adds up products; None for every other."""
    for position in (1, 0) if node.op_type in LINEAR else ():
        name, pairs = node.input[position], list[NodeProto]()
        while name in producers and producers[name].op_type in ("QuantizeLinear", "DequantizeLinear"):
            pairs.insert(0, producers[name])
            name = producers[name].input[0]
        if name in constants:
            return Weights(position, constants[name], tuple(pairs))
    return None


def two_sums(node: NodeProto, weights: Weights, run: int) -> tuple[list[TensorProto], list[NodeProto]]:
    """An operator as the sum of two that have half of its weights each. Gives their weights and the nodes in order.

    The weights alternate along all axes at once, so that those of every output are divided.
    """
    values = numpy_helper.to_array(weights.constant)
    second = np.indices(values.shape).sum(axis=0) // run % 2 == 1
    halves, nodes, sums = [], list[NodeProto](), []
    for number, kept in enumerate((~second, second)):
        name = f"{node.output[0]}/sum-{number}"
        halves.append(numpy_helper.from_array(np.where(kept, values, np.zeros_like(values)), f"{name}/weights"))
        value = halves[-1].name
        for place, pair in enumerate(weights.pairs):
            nodes.append(rewired(pair, 0, value, f"{name}/{place}"))
            value = nodes[-1].output[0]
        nodes.append(rewired(node, weights.position, value, name))
        if number:
            del nodes[-1].input[2:]  # the bias is added once
        sums.append(name)
    return halves, [*nodes, helper.make_node("Add", sums, list(node.output), f"{node.output[0]}/sum")]


def rewired(node: NodeProto, position: int, source: str, output: str) -> NodeProto:
    """A copy of the operator with another source for one input, another output and another name."""
    copy = NodeProto()
    copy.CopyFrom(node)
    copy.name = copy.output[0] = output
    copy.input[position] = source
    return copy

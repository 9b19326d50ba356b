"""From the nodes of a file to the steps that compute it.

What depends on constants alone is computed once, here: weights that are stored in int8, shapes that are fixed. A
QuantizeLinear and the DequantizeLinear behind it become one step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, defs
from onnx.shape_inference import infer_shapes
from torch import Tensor

from segeval.errors import EngineError, nearest
from segeval.graphs.differentiable.constants import held
from segeval.graphs.differentiable.node import ANY, REMEDY, Compute, Node, Working, label
from segeval.graphs.differentiable.operations import quantization
from segeval.graphs.differentiable.operator_registry import OPERATORS, Operator
from segeval.graphs.differentiable.rounding import to_half
from segeval.models.straight_through import straight_through

OLDEST = 11
"""The oldest opset whose operators are known."""


@dataclass(frozen=True)
class Step:
    """One computation. inputs: names of values, empty for one that is left out. outputs: names."""

    compute: Compute
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Value:
    """What the file says of a value. element: its type, 0 if unknown. shape: None for an axis that is not fixed."""

    element: int = 0
    shape: tuple[int | None, ...] | None = None

    @property
    def fixed(self) -> tuple[int, ...] | None:
        """The shape if every axis is fixed."""
        shape = self.shape if self.shape is not None else (None,)
        sizes = tuple(size for size in shape if size is not None)
        return sizes if len(sizes) == len(shape) else None


def values_of(model: ModelProto) -> dict[str, Value]:
    """Type and shape of every value, inferred again, constants included."""
    bare = ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    graph: GraphProto = infer_shapes(bare, strict_mode=True, data_prop=True).graph
    found: dict[str, Value] = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        kind = value.type.tensor_type
        shape = None
        if kind.HasField("shape"):
            shape = tuple(axis.dim_value if axis.HasField("dim_value") else None for axis in kind.shape.dim)
        found[value.name] = Value(kind.elem_type, shape)
    return found | {tensor.name: Value(tensor.data_type, tuple(tensor.dims)) for tensor in graph.initializer}


def opset_of(model: ModelProto) -> int:
    """The opset of the standard operators. Raises EngineError unless it is known."""
    opset = next((each.version for each in model.opset_import if not each.domain), 0)
    newest = defs.onnx_opset_version()
    if not OLDEST <= opset <= newest:
        raise EngineError(
            f"the file is of opset {opset}", f"export the network with an opset from {OLDEST} to {newest}"
        )
    return opset


class Reader:
    """Takes the nodes of a file one by one.

    Attributes:
        constants: The value of everything that depends on nothing else, on the CPU.
        steps: What is left to be computed.
    """

    def __init__(self, model: ModelProto, working: Working) -> None:
        """Read all of a file. Raises EngineError for what cannot be computed."""
        self.working = working
        self.opset = opset_of(model)
        self.values = values_of(model)
        self.constants: dict[str, Tensor] = {tensor.name: held(tensor) for tensor in model.graph.initializer}
        self.steps: list[Step] = []
        self._producers: dict[str, NodeProto] = {}
        for proto in model.graph.node:
            self._take(proto)
            self._producers.update(dict.fromkeys(proto.output, proto))

    def needed(self, outputs: Sequence[str]) -> list[Step]:
        """The steps that these values depend on."""
        wanted, found = set(outputs), list[Step]()
        for step in reversed(self.steps):
            if wanted & set(step.outputs):
                found.insert(0, step)
                wanted |= set(step.inputs)
        return found

    def _take(self, proto: NodeProto) -> None:
        """Compute a node whose inputs are constant, and add a step for another."""
        operator, version = self._operator(proto)
        node = self._node(proto, version)
        self._require_types(node, operator)
        compute, inputs = operator.build(node), tuple(proto.input)
        node.require_all_read()
        before = self._producers.get(proto.input[0]) if proto.op_type == "DequantizeLinear" else None
        if before is not None and self._is_pair(before, proto):
            former = self._node(before, self._operator(before)[1])
            former.half = node.half
            compute, inputs = quantization.pair(former), tuple(before.input)
        elif node.half and operator.takes is not ANY:
            compute = rounding(compute)
        step = Step(compute, inputs, tuple(proto.output))
        known = self._known(proto.op_type, inputs)
        if known is None:
            self.steps.append(step)
            return
        with torch.no_grad():
            results = compute(*known)
        self.constants.update(named(step, results))

    def _known(self, operator: str, inputs: Sequence[str]) -> list[Tensor | None] | None:
        """The inputs of an operator that are constant, if all of them are, or if only their fixed shape counts."""
        if operator in ("Shape", "Size"):
            fixed = self.values.get(inputs[0], Value()).fixed
            if fixed is not None:
                return [torch.empty(fixed, device="meta")]
        if any(name and name not in self.constants for name in inputs):
            return None
        return [self.constants.get(name) for name in inputs]

    def _operator(self, proto: NodeProto) -> tuple[Operator, int]:
        """What computes a node, and the version of its definition. Raises EngineError."""
        if proto.domain not in ("", "ai.onnx"):
            what = f"{label(proto)}: operators of {proto.domain} cannot be computed with a gradient here"
            raise EngineError(what, REMEDY)
        if proto.op_type not in OPERATORS:
            what = f"{label(proto)}: this operator cannot be computed with a gradient here"
            remedy = "take the file before it was made of integer operators (quantize it in QDQ form)"
            integer = proto.op_type.startswith("QLinear") or proto.op_type.endswith("Integer")
            raise EngineError(what, remedy if integer else f"{REMEDY}; {nearest(proto.op_type, OPERATORS)}")
        operator = OPERATORS[proto.op_type]
        version: int = defs.get_schema(proto.op_type, self.opset).since_version
        if version not in operator.versions:
            what = f"{label(proto)}: its definition of opset {version} is not known here"
            raise EngineError(what, f"export the network with another opset; known: {operator.versions}")
        if len(proto.output) > operator.outputs:
            raise EngineError(f"{label(proto)}: only its first output can be computed with a gradient here", REMEDY)
        return operator, version

    def _node(self, proto: NodeProto, version: int) -> Node:
        types = [self.values.get(name, Value()).element if name else 0 for name in proto.input]
        stored = [self.constants.get(name) for name in proto.input]
        shape = self.values.get(proto.input[0], Value()).fixed if proto.input else None
        half = self.values.get(proto.output[0], Value()).element == TensorProto.FLOAT16
        return Node(proto, version, stored, types, shape, half, self.working)

    def _require_types(self, node: Node, operator: Operator) -> None:
        """Raise EngineError for a type of values that the operator does not compute."""
        for place, (name, element) in enumerate(zip(node.proto.input, node.types, strict=True)):
            taken = ANY if place in operator.parameters else operator.takes
            if name and element not in taken:
                raise node.refusal(f"{name} of type {TensorProto.DataType.Name(element)}")
        for name in node.proto.output:
            element = self.values.get(name, Value()).element
            if name and element not in ANY:
                raise node.refusal(f"{name} of type {TensorProto.DataType.Name(element)}")

    def _is_pair(self, former: NodeProto, latter: NodeProto) -> bool:
        """Whether a DequantizeLinear undoes a QuantizeLinear: same scale and zero-point, same axis."""
        if former.op_type != "QuantizeLinear" or len(former.input) != len(latter.input):
            return False
        same = [
            first == second or torch.equal(self.constants[first], self.constants[second])
            for first, second in zip(former.input[1:], latter.input[1:], strict=True)
        ]
        return all(same) and axis_of(former) == axis_of(latter)


def axis_of(proto: NodeProto) -> Mapping[str, int]:
    """What a node of a pair says of axis and blocks."""
    given = {each.name: each.i for each in proto.attribute if each.name in ("axis", "block_size")}
    return {"axis": 1, "block_size": 0} | given


def rounding(compute: Compute) -> Compute:
    """A computation whose results are rounded to half precision, with the gradient of unrounded ones."""

    def rounded(*inputs: Tensor | None) -> Tensor | tuple[Tensor, ...]:
        results = compute(*inputs)
        if isinstance(results, Tensor):
            return straight_through(results, to_half)
        return tuple(straight_through(result, to_half) for result in results)

    return rounded


def named(step: Step, results: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
    """The results of a step by name."""
    each = (results,) if isinstance(results, Tensor) else results
    return dict(zip(step.outputs, each, strict=True))

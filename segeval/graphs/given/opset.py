"""Conversion of a file to opset 17, which all of segeval's files have and TensorRT 8.5 to 11 read.

Upwards ONNX's own converter is used. Downwards it fails on common operators (Pad, Resize, Split, ReduceMean with axes
as input), so the changes after opset 17 are undone here. `require_equal` checks the result on the file itself.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, defs, helper, numpy_helper, version_converter
from onnx.defs import SchemaError

from segeval.errors import EngineError
from segeval.graphs.brought import all_nodes
from segeval.graphs.export import IR_VERSION, OPSET
from segeval.graphs.session import open_session

NEWEST = 23
"""The newest opset whose operators were compared with those of opset 17."""
WIDENED = frozenset(
    """
    AveragePool Cast Concat Constant ConstantOfShape Conv ConvTranspose Div DepthToSpace DequantizeLinear Dropout Elu
    Equal Expand Flatten Gather GlobalAveragePool GlobalMaxPool HardSigmoid HardSwish Identity InstanceNormalization
    LpPool MaxPool QuantizeLinear Reshape Selu Shape Size Softplus Softsign SpaceToDepth Squeeze ThresholdedRelu Tile
    Transpose Unsqueeze
    """.split()  # noqa: SIM905
)
"""Operators that were only given more types or attributes, and compute what they did where none of these is used."""
ADDED: Mapping[str, Mapping[str, Any]] = {
    "Cast": {"saturate": 1},
    "QuantizeLinear": {"saturate": 1, "block_size": 0, "output_dtype": 0},
    "DequantizeLinear": {"block_size": 0, "output_dtype": 0},
    "Resize": {"antialias": 0, "keep_aspect_ratio_policy": b"stretch"},
}
"""Attributes that are newer than opset 17, with the value that changes nothing."""
REDUCTIONS = sorted({schema.name for schema in defs.get_all_schemas() if schema.name.startswith("Reduce")})


class Older:
    """The nodes of a file of a newer opset, rewritten one by one.

    Raises EngineError for a node that opset 17 cannot express.
    """

    def __init__(self, model: ModelProto, where: str) -> None:
        self.where = where
        self.nodes: list[NodeProto] = []
        self.added: list[TensorProto] = []
        self.opset = opset_of(model)
        graph = model.graph
        self.constants: dict[str, NDArray[Any]] = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self.shapes = {
            value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim]
            for value in (*graph.input, *graph.value_info, *graph.output)
        }
        for node in graph.node:
            self.remember(node)
            copy = NodeProto()
            copy.CopyFrom(node)
            self.rewrite(copy)

    def remember(self, node: NodeProto) -> None:
        """Keep the value of a Constant node."""
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        elif node.op_type == "Constant" and node.attribute[0].name in ("value_ints", "value_int"):
            self.constants[node.output[0]] = np.array(helper.get_attribute_value(node.attribute[0]), np.int64)

    def rewrite(self, node: NodeProto) -> None:
        """Append a node in the form of opset 17."""
        if node.domain not in ("", "ai.onnx") or schema_version(node, self.opset) <= OPSET:
            self.nodes.append(node)
            return
        for attribute in list(node.attribute):
            usual = ADDED.get(node.op_type, {}).get(attribute.name)
            if usual is not None and helper.get_attribute_value(attribute) == usual:
                node.attribute.remove(attribute)
        rule = RULES.get(node.op_type)
        if rule is not None:
            rule(self, node)
        elif node.op_type in WIDENED:
            self.require_known_attributes(node)
            self.nodes.append(node)
        else:
            raise self.refusal(node, f"opset {OPSET} has no such operator")

    def require_known_attributes(self, node: NodeProto) -> None:
        """Raise EngineError for an attribute that opset 17 does not have."""
        known = defs.get_schema(node.op_type, OPSET).attributes
        for attribute in node.attribute:
            if attribute.name not in known:
                raise self.refusal(node, f"its attribute {attribute.name} is newer than opset {OPSET}")

    def refusal(self, node: NodeProto, why: str) -> EngineError:
        """The error for a node that cannot be said in opset 17."""
        what = f"{self.where}: {node.op_type} {node.name or node.output[0]} of opset {self.opset}: {why}"
        return EngineError(what, f"export the network with opset {OPSET}")

    def constant(self, name: str, node: NodeProto, what: str) -> NDArray[Any]:
        """An input that must be constant."""
        if name not in self.constants:
            raise self.refusal(node, f"its {what} are computed instead of stored")
        return self.constants[name]

    def new(self, values: NDArray[Any]) -> str:
        """The name of a new constant."""
        name = f"segeval/opset/constant_{len(self.added)}"
        self.added.append(numpy_helper.from_array(values, name))
        self.constants[name] = values
        return name

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append a node of our own."""
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def shape(self, name: str, node: NodeProto) -> list[int]:
        """The shape of a value, with 0 where a size is open."""
        if name in self.constants:
            return list(self.constants[name].shape)
        if name not in self.shapes:
            raise self.refusal(node, f"the shape of {name} is not known")
        return self.shapes[name]


def reduce(older: Older, node: NodeProto) -> None:
    """Axes as an attribute again."""
    if len(node.input) > 1 and node.input[1]:
        axes = older.constant(node.input[1], node, "axes")
        if axes.size:
            node.attribute.append(helper.make_attribute("axes", [int(axis) for axis in axes.flatten()]))
    idle = pop(node, "noop_with_empty_axes", 0)
    if idle and not any(attribute.name == "axes" for attribute in node.attribute):
        node.op_type = "Identity"
        del node.attribute[:]
    del node.input[1:]
    older.nodes.append(node)


def split(older: Older, node: NodeProto) -> None:
    """Sizes of the parts in place of their number."""
    count = pop(node, "num_outputs", 0)
    if count and len(node.input) < 2:
        axis = next((helper.get_attribute_value(a) for a in node.attribute if a.name == "axis"), 0)
        length = older.shape(node.input[0], node)[axis]
        part = -(-length // count)
        sizes = [part] * (count - 1) + [length - part * (count - 1)]
        if not length or sizes[-1] <= 0:
            raise older.refusal(node, "what it splits has no fixed size")
        node.input.append(older.new(np.array(sizes, np.int64)))
    older.nodes.append(node)


def pad(older: Older, node: NodeProto) -> None:
    """Paddings of all axes in place of those of some."""
    if len(node.input) > 3 and node.input[3]:
        rank = len(older.shape(node.input[0], node))
        axes = [int(axis) % rank for axis in older.constant(node.input[3], node, "axes")]
        given = older.constant(node.input[1], node, "paddings")
        paddings = np.zeros(2 * rank, np.int64)
        for place, axis in enumerate(axes):
            paddings[axis], paddings[rank + axis] = given[place], given[len(axes) + place]
        node.input[1] = older.new(paddings)
        del node.input[3:]
    mode = next((helper.get_attribute_value(a) for a in node.attribute if a.name == "mode"), b"constant")
    if mode == b"wrap":
        raise older.refusal(node, "mode wrap is newer")
    older.nodes.append(node)


def resize(older: Older, node: NodeProto) -> None:
    """Scales or sizes of all axes in place of those of some."""
    axes = pop(node, "axes", None)
    shape = older.shape(node.input[0], node) if axes is not None else []
    if axes is not None and list(axes) != list(range(len(shape))):
        places = [axis % len(shape) for axis in axes]
        for position, whole in ((2, np.ones(len(shape), np.float32)), (3, np.array(shape, np.int64))):
            if len(node.input) > position and node.input[position]:
                whole[places] = older.constant(node.input[position], node, "sizes")
                node.input[position] = older.new(whole)
    older.require_known_attributes(node)
    older.nodes.append(node)


def gelu(older: Older, node: NodeProto) -> None:
    """x / 2 (1 + erf(x / sqrt 2)), or its approximation by tanh."""
    x, y = node.input[0], node.output[0]
    half, one = older.new(np.array(0.5, np.float32)), older.new(np.array(1, np.float32))
    if pop(node, "approximate", b"none") == b"tanh":
        cube = older.add("Pow", [x, older.new(np.array(3, np.float32))], f"{y}/cube")
        scaled = older.add("Mul", [cube, older.new(np.array(0.044715, np.float32))], f"{y}/scaled")
        inner = older.add("Add", [x, scaled], f"{y}/inner")
        factor = older.new(np.array(np.sqrt(2 / np.pi), np.float32))
        bent = older.add("Tanh", [older.add("Mul", [inner, factor], f"{y}/factor")], f"{y}/tanh")
    else:
        root = older.new(np.array(np.sqrt(2), np.float32))
        bent = older.add("Erf", [older.add("Div", [x, root], f"{y}/root")], f"{y}/erf")
    share = older.add("Mul", [older.add("Add", [bent, one], f"{y}/sum"), half], f"{y}/share")
    older.add("Mul", [x, share], y)


def mish(older: Older, node: NodeProto) -> None:
    """x tanh(log(1 + exp x))."""
    x, y = node.input[0], node.output[0]
    older.add("Mul", [x, older.add("Tanh", [older.add("Softplus", [x], f"{y}/softplus")], f"{y}/tanh")], y)


def group_normalization(older: Older, node: NodeProto) -> None:
    """Groups as channels of an InstanceNormalization, then scale and bias of each channel."""
    x, scale, bias = node.input
    y, groups = node.output[0], pop(node, "num_groups", 0)
    shape = older.shape(x, node)
    if len(shape) < 3 or not all(shape) or older.opset < 21:
        raise older.refusal(node, "the shape of its input is not fixed, or it scales groups instead of channels")
    flat = older.add("Reshape", [x, older.new(np.array([0, groups, -1], np.int64))], f"{y}/groups")
    ones, zeros = older.new(np.ones(groups, np.float32)), older.new(np.zeros(groups, np.float32))
    epsilon = pop(node, "epsilon", 1e-5)
    normal = older.add("InstanceNormalization", [flat, ones, zeros], f"{y}/normal", epsilon=epsilon)
    back = older.add("Reshape", [normal, older.new(np.array(shape, np.int64))], f"{y}/back")
    wide = (-1, *(1,) * (len(shape) - 2))
    weights = [older.new(older.constant(name, node, "parameters").reshape(wide)) for name in (scale, bias)]
    older.add("Add", [older.add("Mul", [back, weights[0]], f"{y}/scaled"), weights[1]], y)


Rule = Callable[[Older, NodeProto], None]
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(REDUCTIONS, reduce),
    "Split": split,
    "Pad": pad,
    "Resize": resize,
    "Gelu": gelu,
    "Mish": mish,
    "GroupNormalization": group_normalization,
}


def pop(node: NodeProto, name: str, usual: Any) -> Any:
    """The value of an attribute, which the node loses; the usual one if it has none."""
    for attribute in node.attribute:
        if attribute.name == name:
            value = helper.get_attribute_value(attribute)
            node.attribute.remove(attribute)
            return value
    return usual


def opset_of(model: ModelProto) -> int:
    """The opset of the standard operators."""
    return max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=0)


def schema_version(node: NodeProto, opset: int) -> int:
    """The opset that introduced a node's definition."""
    return int(defs.get_schema(node.op_type, opset).since_version)


def require_known_opset(model: ModelProto, where: str) -> None:
    """Raise EngineError for a file of a newer opset, or with an operator that its opset does not have.

    Args:
        model: of standard operators alone.
        where: the file, for messages.
    """
    opset = opset_of(model)
    if opset > NEWEST:
        what = f"{where} is of opset {opset}; 11 to {NEWEST} are read"
        raise EngineError(what, f"export the network with opset {OPSET}")
    for node in all_nodes(model.graph.node):
        try:
            defs.get_schema(node.op_type, opset)
        except SchemaError as error:
            what = f"{where}: opset {opset} of ONNX has no operator {node.op_type} ({node.name or node.output[0]})"
            raise EngineError(what, "export the network without it") from error


def at_opset_17(model: ModelProto, where: str) -> ModelProto:
    """The same file in opset 17 and IR 8.

    Args:
        model: of opset 11 to 23, with shapes that are fixed and inferred.
        where: the file, for messages.

    Raises:
        EngineError: for what opset 17 cannot express.
    """
    opset = opset_of(model)
    converted = ModelProto()
    converted.CopyFrom(model)
    if opset > OPSET:
        older = Older(model, where)
        del converted.graph.node[:], converted.graph.value_info[:]
        converted.graph.node.extend(older.nodes)
        converted.graph.initializer.extend(older.added)
    elif opset < OPSET:
        converted.ir_version = IR_VERSION
        try:
            converted = version_converter.convert_version(converted, OPSET)
        except RuntimeError as error:
            reason = str(error).rpartition("failed: ")[2].splitlines()[0]
            what = f"{where} is of opset {opset}, and ONNX cannot convert it to {OPSET}: {reason}"
            raise EngineError(what, f"export the network with opset {OPSET}") from error
    converted.ir_version = IR_VERSION
    del converted.opset_import[:]
    converted.opset_import.append(helper.make_opsetid("", OPSET))
    return converted


def require_equal(before: ModelProto, after: ModelProto, where: str) -> None:
    """Raise EngineError unless ONNX Runtime computes the same of two files, on random numbers.

    Args:
        before: a file of one input of a fixed shape, in float32.
        after: the same in another opset.
        where: the file, for messages.
    """
    shape = [axis.dim_value for axis in before.graph.input[0].type.tensor_type.shape.dim]
    image = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    answers = [
        open_session(model, optimised=False).run(None, {model.graph.input[0].name: image})[0]
        for model in (before, after)
    ]
    error = float(np.abs(answers[0] - answers[1]).max()) if answers[0].shape == answers[1].shape else np.inf
    if not error <= 1e-3 * max(1.0, float(np.abs(answers[0]).max())):
        what = f"{where}: in opset {OPSET} the file computes something else (by {error:g})"
        raise EngineError(what, f"export the network with opset {OPSET}")

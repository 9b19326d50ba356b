"""Wraps a user's file in nodes that give it the contract of every deployed file: camera image in, label map out.

The user's nodes are unchanged, in their opset. The added nodes do what the functions of `segeval_runner.described` do
with numpy.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from segeval.graphs.brought import Tensor, renamed
from segeval.graphs.export import IMAGE, LABELS, NETWORK_OUTPUT
from segeval_runner.described import LEVELS, Input, Output, label_size

OURS = "segeval/"
"""How the names of what is added begin."""
CONSTANTS_ALONE = 4
"""The first version of ONNX's format in which a constant need not be an input too."""
RESIZE = {
    "bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
    "bilinear-aligned": {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
    "nearest": {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
}


@dataclass
class Chain:
    """Nodes one after the other.

    Attributes:
        place: where they stand, in their names.
        value: what the last one gives.
        opset: of the file.
    """

    place: str
    value: str
    opset: int
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def add(self, operator: str, *others: str, **attributes: Any) -> None:
        """A node that reads the last value first."""
        given, self.value = self.value, f"{OURS}{self.place}/{len(self.nodes)}_{operator}"
        self.nodes.append(helper.make_node(operator, [given, *others], [self.value], name=self.value, **attributes))

    def constant(self, values: NDArray[Any]) -> str:
        """The name of a constant."""
        name = f"{OURS}{self.place}/constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def cast(self, type: int) -> None:
        """Make the last value of another type."""
        self.add("Cast", to=type)

    def reshape(self, shape: tuple[int, ...]) -> None:
        """Give the last value another shape."""
        self.add("Reshape", self.constant(np.array(shape, np.int64)))

    def resize(self, shape: tuple[int, ...], how: str) -> None:
        """Bring the last two axes to another size. shape: then."""
        scales = self.constant(np.zeros(0, np.float32)) if self.opset < 13 else ""
        roi = self.constant(np.zeros(0, np.float32)) if self.opset < 13 else ""
        self.add("Resize", roi, scales, self.constant(np.array(shape, np.int64)), **RESIZE[how])

    def end(self, name: str) -> None:
        """Call the last value so."""
        self.nodes[-1].output[0] = self.value = name


def wrapped(
    model: ModelProto, image: Tensor, answer: Tensor, wanted: Input, given: Output, size: tuple[int, int]
) -> ModelProto:
    """The file between a uint8 image (N, H, W, 3) and its int32 label map (N, H, W).

    Args:
        model: with an input of a fixed shape.
        image: its input.
        answer: the output that counts, with the shape that it has when the file runs.
        wanted: how the input was described.
        given: how the output was.
        size: (H, W) of the images.
    """
    joined = ModelProto()
    joined.CopyFrom(model)
    graph = joined.graph
    taken = {name: f"yours/{name}" for name in (IMAGE, LABELS, NETWORK_OUTPUT)}
    renamed(graph, taken)
    opset = max(each.version for each in joined.opset_import if each.domain in ("", "ai.onnx"))
    before, batch = Chain("before", IMAGE, opset), answer.shape[0]
    prepare(before, wanted, image.type)
    before.end(taken.get(image.name, image.name))
    after = Chain("after", taken.get(answer.name, answer.name), opset)
    label(after, answer, given, (batch, *size))
    after.end(LABELS)
    nodes = [*before.nodes, *graph.node, *after.nodes]
    del graph.node[:], graph.output[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*before.constants, *after.constants])
    # Older exporters list constants among the inputs, where no engine takes them for constants.
    del graph.input[:]
    joined.ir_version = max(joined.ir_version, CONSTANTS_ALONE)
    graph.input.append(helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, (batch, *size, 3)))
    graph.output.append(helper.make_tensor_value_info(LABELS, TensorProto.INT32, (batch, *size)))
    return joined


def prepare(chain: Chain, wanted: Input, type: int) -> None:
    """From a uint8 image to what a file takes; see `segeval_runner.described.prepared`."""
    first = wanted.layout == "NCHW"
    shape = (1, 3, 1, 1) if first else (1, 1, 1, 3)
    chain.cast(TensorProto.FLOAT)  # TensorRT lets uint8 flow into nothing else
    if first:
        chain.add("Transpose", perm=[0, 3, 1, 2])
    if wanted.colour == "BGR":
        chain.add("Gather", chain.constant(np.array([2, 1, 0], np.int64)), axis=1 if first else 3)
    if wanted.range != LEVELS:
        chain.add("Mul", chain.constant(np.array(np.float32(wanted.range / LEVELS))))
    if any(wanted.mean):
        chain.add("Sub", chain.constant(np.array(wanted.mean, np.float32).reshape(shape)))
    if wanted.std != (1, 1, 1):
        chain.add("Div", chain.constant(np.array(wanted.std, np.float32).reshape(shape)))
    if type == TensorProto.UINT8:
        chain.add("Round")
    if type != TensorProto.FLOAT:
        chain.cast(type)


def label(chain: Chain, answer: Tensor, given: Output, shape: tuple[int, int, int]) -> None:
    """From what a file answers to int32 label maps; see `segeval_runner.described.label_maps`.

    Args:
        chain: that ends with the answer.
        answer: its shape and type.
        given: what it is.
        shape: (N, H, W) of the label maps.
    """
    if given.kind == "labels":
        inner = label_size(answer.shape)
        if inner != shape[1:]:
            chain.cast(TensorProto.FLOAT)  # TensorRT resizes nothing else
            chain.reshape((shape[0], 1, *inner))
            chain.resize((shape[0], 1, *shape[1:]), "nearest")
        if answer.shape != shape:
            chain.reshape(shape)
        chain.cast(TensorProto.INT64 if given.classes else TensorProto.INT32)
        if given.classes:
            known_or_last(chain, len(given.classes))
    else:
        scores(chain, answer, given, shape)
    if given.classes:
        table = chain.constant(np.array([*given.classes, -1], np.int32))
        chain.nodes.append(helper.make_node("Gather", [table, chain.value], [LABELS], name=f"{OURS}classes", axis=0))


def known_or_last(chain: Chain, count: int) -> None:
    """Labels from 0 to below `count` as they are, any other as `count`; in operators that opset 11 has for int64."""
    least, last = (chain.constant(np.array(bound, np.int64)) for bound in (0, count))
    labels = chain.value
    chain.add("Less", least)
    chain.add("Where", last, labels)
    labels = chain.value
    chain.add("Less", last)
    chain.add("Where", labels, last)


def scores(chain: Chain, answer: Tensor, given: Output, shape: tuple[int, int, int]) -> None:
    """From logits or probabilities to labels, int64 for a table of classes, else int32."""
    if answer.type != TensorProto.FLOAT:
        chain.cast(TensorProto.FLOAT)
    channels, inner = answer.shape[1], answer.shape[2:]
    if given.layout == "NHWC":
        chain.add("Transpose", perm=[0, 3, 1, 2])
        channels, inner = answer.shape[3], answer.shape[1:3]
    if inner != shape[1:]:
        chain.resize((shape[0], channels, *shape[1:]), given.resize)
    chain.add("Identity")
    chain.end(NETWORK_OUTPUT)  # where the network without its ArgMax ends, as in every file of segeval
    if channels == 1:
        chain.add("Greater", chain.constant(np.array(np.float32(given.threshold))))
        chain.cast(TensorProto.INT64)
        chain.reshape(shape)
    else:
        chain.add("ArgMax", axis=1, keepdims=0)
    if not given.classes:
        chain.cast(TensorProto.INT32)

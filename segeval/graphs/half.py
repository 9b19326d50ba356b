"""What a file with half precision computes on a device that really uses half arithmetic.

ONNX Runtime has no half kernels for most processors: it computes such a file in fp32, so an activation above 65,504
goes unnoticed. Here the file is rewritten: its fp16 constants become fp32 with the same values, and the result of every
fp16 operator is rounded to fp16 before it is used. Sums inside an operator are fp32, as in a tensor core with fp32
accumulators. This needs only the file, not the network in torch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from segeval.errors import EngineError
from segeval.files.images import RgbImage
from segeval.graphs.export import IMAGE, LABELS, NETWORK_OUTPUT
from segeval.graphs.operators import element_types
from segeval.graphs.session import open_session
from segeval.metrics import Labels
from segeval.precision import LARGEST_HALF

PREFIX = "/deployable/network/"
"""How the exporter's names of the network's nodes begin."""

MOVES = frozenset(
    {
        "Concat",
        "Flatten",
        "Identity",
        "MaxPool",
        "Relu",
        "Reshape",
        "Slice",
        "Split",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    }
)
"""Operators whose results are values that they read: rounded already."""

REMEDY = (
    "leave out fp16 and int8-fp16, as in --precision fp32,int8; or rescale that layer: divide its weights and bias, "
    "and multiply the weights of the layers that read it by as much"
)


@dataclass(frozen=True)
class HalfResult:
    """What half arithmetic gave for an image.

    Attributes:
        labels: (H, W).
        finite: whether all logits are.
        peaks: the largest absolute result of each layer before it is rounded; after a layer that overflowed they may be
            infinite or not a number.
    """

    labels: Labels
    finite: bool
    peaks: NDArray[np.float32]


class HalfModel:
    """A file of fp16 or int8-fp16 as a function of an image, in half arithmetic.

    layers: the operators whose results are rounded, in the order of the file. Raises EngineError if ONNX Runtime cannot
    load the rewritten file.
    """

    def __init__(self, model: ModelProto) -> None:
        rewritten, peaks = in_half_arithmetic(model)
        self.layers = tuple(peaks.values())
        self._outputs = [LABELS, NETWORK_OUTPUT, *peaks]
        # No optimisation may find the casts superfluous.
        self._session = open_session(rewritten, optimised=False)
        self._batch: int = self._session.get_inputs()[0].shape[0]

    def run(self, image: RgbImage) -> HalfResult:
        """What it makes of an (H, W, 3) RGB image."""
        images = np.repeat(image[None], self._batch, axis=0)
        labels, logits, *peaks = self._session.run(self._outputs, {IMAGE: images})
        finite = bool(np.isfinite(logits).all())
        return HalfResult(labels[0].astype(np.uint8), finite, np.array(peaks, np.float32))


@dataclass
class Peaks:
    """The peaks of an engine's layers on one image after another. keys: of the images."""

    engine: str
    layers: Sequence[str]
    keys: list[str] = field(default_factory=list)
    found: list[HalfResult] = field(default_factory=list)

    def add(self, key: str, result: HalfResult) -> None:
        """Note an image.

        Args:
            key: of it.
            result: of the image.
        """
        self.keys.append(key)
        self.found.append(result)

    def table(self) -> NDArray[np.float32]:
        """The peaks, (images, layers)."""
        return np.stack([result.peaks for result in self.found])

    def largest(self) -> tuple[float, str, str]:
        """The largest peak, its layer and its image; of equals the first layer."""
        table = self.table()
        image, layer = map(int, np.unravel_index(np.nanargmax(table), table.shape))
        return float(table[image, layer]), self.layers[layer], self.keys[image]

    def require_finite(self) -> None:
        """Raise EngineError if an activation passes what half precision can hold, or if a logit is not finite.

        Named is the first such layer in the order of the file: up to there everything was finite.
        """
        table = self.table()
        over = ~(table <= LARGEST_HALF)  # also where it is not a number
        if over.any():
            layer = int(np.argmax(over.any(axis=0)))
            if np.isnan(table[:, layer]).any():
                image = int(np.argmax(np.isnan(table[:, layer])))
                what = f"{self.engine}: in half precision {self.layers[layer]} gives what is not a number"
                raise EngineError(f"{what} on {self.keys[image]}", REMEDY)
            image = int(np.argmax(np.where(over[:, layer], table[:, layer], 0)))
            what = f"{self.engine}: in half precision {self.layers[layer]} overflows: an activation of it reaches "
            what += f"{table[image, layer]:,.0f} on {self.keys[image]}, and half precision ends at {LARGEST_HALF:,.0f}"
            raise EngineError(what, REMEDY)
        wrong = [key for key, result in zip(self.keys, self.found, strict=True) if not result.finite]
        if wrong:
            what = f"{self.engine}: in half precision logits of {wrong[0]} are not finite, though no activation passes "
            raise EngineError(f"{what}{LARGEST_HALF:,.0f}", REMEDY)


def in_half_arithmetic(model: ModelProto) -> tuple[ModelProto, dict[str, str]]:
    """A file that computes in fp32 what `model` computes in half arithmetic, and the layer of each of its peaks.

    Its outputs are the labels, the logits and, by name, the largest absolute value that each layer gives unrounded.
    """
    types = element_types(model)
    graph = GraphProto()
    graph.CopyFrom(model.graph)
    del graph.value_info[:], graph.node[:]
    for tensor in graph.initializer:
        widen(tensor)
    peaks: dict[str, str] = {}
    for node in model.graph.node:
        own = graph.node.add()
        own.CopyFrom(single(node))
        for place, name in enumerate(node.output):
            if types.get(name) == TensorProto.FLOAT16 and node.op_type not in MOVES | {"Constant"}:
                own.output[place] = f"{name}/exact"
                graph.node.extend(rounding(name))
                peaks[f"{name}/peak"] = layer_name(node)
    graph.output.append(helper.make_tensor_value_info(NETWORK_OUTPUT, TensorProto.FLOAT, None))
    graph.output.extend(helper.make_tensor_value_info(peak, TensorProto.FLOAT, []) for peak in peaks)
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version), peaks


def single(node: NodeProto) -> NodeProto:
    """A node of half precision as one of single precision: its constants, and the type that a Cast gives."""
    own = NodeProto()
    own.CopyFrom(node)
    for attribute in own.attribute:
        if attribute.type == onnx.AttributeProto.TENSOR:
            widen(attribute.t)
        elif node.op_type == "Cast" and attribute.i == TensorProto.FLOAT16:
            attribute.i = TensorProto.FLOAT
    return own


def widen(tensor: TensorProto) -> None:
    """Hold a constant of half precision in single precision, with the same values."""
    if tensor.data_type == TensorProto.FLOAT16:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))


def rounding(name: str) -> Iterator[NodeProto]:
    """From ``name/exact`` to ``name``, rounded to half precision: infinite from 65,520 on; and to ``name/peak``."""
    yield helper.make_node("Cast", [f"{name}/exact"], [f"{name}/half"], to=TensorProto.FLOAT16)
    yield helper.make_node("Cast", [f"{name}/half"], [name], to=TensorProto.FLOAT)
    yield helper.make_node("Abs", [f"{name}/exact"], [f"{name}/size"])
    yield helper.make_node("ReduceMax", [f"{name}/size"], [f"{name}/peak"], keepdims=0)


def layer_name(node: NodeProto) -> str:
    """A node as a person finds it in the network; of a Cast, what it reads."""
    return node.input[0] if node.op_type == "Cast" else node.name.removeprefix(PREFIX)

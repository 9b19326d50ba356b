"""Adapters around a user's file: NCHW images before it, one logit per class and pixel after it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from segeval.errors import ConfigurationError, counted
from segeval.graphs.brought import renamed
from segeval.graphs.export import IMAGE, LABELS, NETWORK_INPUT, NETWORK_OUTPUT, OPSET
from segeval.graphs.given.file import producers_of
from segeval.graphs.wrapping import Chain
from segeval.models import Preprocessing
from segeval.models.cards.adapters import LEAST
from segeval_runner.described import Kind, Output


@dataclass(frozen=True)
class Answer:
    """What a file answers.

    Attributes:
        name: of the value.
        shape: of it, in the file's layout.
        kind, channels_last: of its numbers.
    """

    name: str
    shape: tuple[int, ...]
    kind: Kind
    channels_last: bool

    @property
    def channels(self) -> int:
        """How many there are; 1 for maps without that axis."""
        return 1 if len(self.shape) == 3 else self.shape[3 if self.channels_last else 1]

    @property
    def inner(self) -> tuple[int, ...]:
        """(height, width) of its maps."""
        if len(self.shape) == 3:
            return self.shape[1:]
        return self.shape[1:3] if self.channels_last else self.shape[2:]


def require_answer(answer: Answer, values: NDArray[Any], batch: int, classes: int, card: Path) -> None:
    """Raise ConfigurationError unless an answer has the shape, type and number of channels that its card says."""
    layout = "NHWC" if answer.channels_last else "NCHW"
    if len(answer.shape) not in (3, 4) or answer.shape[0] != batch:
        what = f"{answer.name} of the network is {answer.shape}, not {layout} with {counted(batch, 'image')}"
        raise ConfigurationError(f"{card}: {what}", "check output.name")
    if values.dtype != np.float32:
        what = f"{answer.name} of the network holds {values.dtype}, not float32 {answer.kind}"
        hint = (
            'label maps of an ArgMax are [output] kind = "labels": it is left out; else name the value with the logits'
        )
        raise ConfigurationError(f"{card}: {what}", hint)
    if answer.channels == classes or (answer.channels == 1 and classes == 2):
        return
    turned = len(answer.shape) == 4 and classes in (answer.shape[1], answer.shape[3])
    hint = (
        f'try output.layout = "{"NCHW" if answer.channels_last else "NHWC"}"'
        if turned
        else f"name {answer.channels} classes: [classes] names, and extra for outputs that no label has"
    )
    if answer.channels == 1:
        hint = 'a network of one channel has two classes: [classes] names = ["background", …]'
    what = (
        f"the network gives {answer.channels} channels ({answer.shape} as {layout}), the card names {classes} classes"
    )
    raise ConfigurationError(f"{card}: {what}", hint)


def without_last(model: ModelProto, answer: Answer) -> Answer:
    """The logits behind probabilities, where a Softmax of the channels or a Sigmoid gave them; else as they are.

    Their gradient does not vanish where the network is sure. Only of maps as large as the image: resizing
    probabilities is not resizing logits.
    """
    node = producers_of(model).get(answer.name)
    if answer.kind != "probabilities" or node is None:
        return answer
    axis = next((helper.get_attribute_value(each) for each in node.attribute if each.name == "axis"), -1) % 4
    of_channels = answer.channels > 1 and axis == (3 if answer.channels_last else 1)
    if (node.op_type == "Softmax" and of_channels) or node.op_type == "Sigmoid":
        return replace(answer, name=node.input[0], kind="logits")
    return answer


def scores(answer: Answer, output: Output, classes: int, batch: int, size: tuple[int, int]) -> Chain:
    """The nodes from an answer to logits (N, C, H, W), as `NETWORK_OUTPUT`.

    Args:
        answer: of the file.
        output: how a smaller one is resized.
        classes: C.
        batch: N.
        size: (H, W).
    """
    chain, channels = Chain("after", answer.name, OPSET), answer.channels
    if len(answer.shape) == 3:
        chain.reshape((batch, 1, *answer.inner))
    elif answer.channels_last:
        chain.add("Transpose", perm=[0, 3, 1, 2])
    if answer.inner != size:
        chain.resize((batch, channels, *size), output.resize)
    if answer.kind == "probabilities":
        if channels == 1 and classes == 2:  # p as 1 - p and p
            chain.add("Mul", chain.constant(np.array([-1, 1], np.float32).reshape(1, 2, 1, 1)))
            chain.add("Add", chain.constant(np.array([1, 0], np.float32).reshape(1, 2, 1, 1)))
        least, most = (chain.constant(np.array(value, np.float32)) for value in (LEAST, 1))
        chain.add("Clip", least, most)
        chain.add("Log")
    elif channels == 1 and classes == 2:  # x as 0 and x, whose softmax is the sigmoid of x
        chain.add("Mul", chain.constant(np.array([0, 1], np.float32).reshape(1, 2, 1, 1)))
    chain.add("Identity")
    chain.end(NETWORK_OUTPUT)
    return chain


def network_graph(
    model: ModelProto, image: str, channels_last: bool, after: Chain, classes: int, batch: int, size: tuple[int, int]
) -> ModelProto:
    """A file with what lies around it, from `NETWORK_INPUT` (N, 3, H, W) to `NETWORK_OUTPUT` (N, C, H, W).

    Args:
        model: of opset 17, with an input of a fixed shape.
        image: its input.
        channels_last: whether it takes (N, H, W, 3).
        after: from its answer to the logits.
        classes: C.
        batch: N.
        size: (H, W).
    """
    joined = ModelProto()
    joined.CopyFrom(model)
    graph = joined.graph
    before = Chain("before", NETWORK_INPUT, OPSET)
    before.add("Transpose", perm=[0, 2, 3, 1]) if channels_last else before.add("Identity")
    before.end(image)
    nodes = [*before.nodes, *graph.node, *after.nodes]
    del graph.node[:], graph.output[:], graph.input[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*before.constants, *after.constants])
    graph.input.append(helper.make_tensor_value_info(NETWORK_INPUT, TensorProto.FLOAT, (batch, 3, *size)))
    graph.output.append(helper.make_tensor_value_info(NETWORK_OUTPUT, TensorProto.FLOAT, (batch, classes, *size)))
    return joined


def freed(model: ModelProto) -> dict[str, str]:
    """Rename values of a file, in place, that are called as ours are; the new names."""
    taken = {name: f"yours/{name}" for name in (IMAGE, LABELS, NETWORK_INPUT, NETWORK_OUTPUT)}
    renamed(model.graph, taken)
    return taken


def with_camera(network: ModelProto, wanted: Preprocessing, batch: int, size: tuple[int, int]) -> ModelProto:
    """The file between uint8 images (N, H, W, 3) and int32 labels (N, H, W) with this network inside.

    Args:
        network: from `NETWORK_INPUT` to `NETWORK_OUTPUT`.
        wanted: the normalization before it.
        batch: N.
        size: (H, W).
    """
    before, after = Chain("normalise", IMAGE, OPSET), Chain("labels", NETWORK_OUTPUT, OPSET)
    before.cast(TensorProto.FLOAT)  # TensorRT lets uint8 flow into nothing else
    before.add("Transpose", perm=[0, 3, 1, 2])
    for operator, values in (("Sub", wanted.mean), ("Div", wanted.std)):
        before.add(operator, before.constant(np.array(values, np.float32).reshape(1, 3, 1, 1)))
    if wanted.bgr:
        before.add("Gather", before.constant(np.array([2, 1, 0], np.int64)), axis=1)
    before.end(NETWORK_INPUT)
    after.add("ArgMax", axis=1, keepdims=0)
    after.cast(TensorProto.INT32)
    after.end(LABELS)
    graph = helper.make_graph(
        [*before.nodes, *network.graph.node, *after.nodes],
        "segeval",
        [helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, (batch, *size, 3))],
        [helper.make_tensor_value_info(LABELS, TensorProto.INT32, (batch, *size))],
        initializer=[*before.constants, *network.graph.initializer, *after.constants],
    )
    return helper.make_model(graph, opset_imports=list(network.opset_import))

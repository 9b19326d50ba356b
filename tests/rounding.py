"""Which labels of a deployed file no rounding can change, on whatever processor and by whatever engine it is computed.

Processors, engines and numbers of threads order their sums differently, and some keep half of the digits. No share of
equal labels holds for all of them. What does hold: a label stays where it leads by more than rounding can move that
lead. How much that is, is found with the file itself, every value of which is disturbed by what rounding takes from it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from segeval.files.images import RgbImage
from segeval.graphs.export import IMAGE, LABELS, NETWORK_INPUT
from segeval.graphs.session import open_session
from segeval.metrics import Labels, Mask
from segeval.precision import Precision

SINGLE, HALF = 2.0**-24, 2.0**-11
"""What rounding to fp32 and to fp16 changes at most, relative to the value."""
FUSED = 8 * SINGLE
"""A value is stored once, but rounded several times: by scales, a bias, an activation, which engines fuse or do not."""
FUSED_HALF = 4 * HALF
"""Between int8 layers scale, bias, activation and the next scale round to fp16, where a processor computes in fp16."""
UNITS: dict[Precision, float] = {"fp32": FUSED, "fp16": HALF, "int8": FUSED, "int8-fp16": FUSED_HALF}
DRAWS = 3
FEWEST = 0.1
"""The share of settled pixels below which a comparison would show nothing."""

Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Settled:
    """Labels of a file and where they are settled, both (H, W).   error: how far rounding moved a logit."""

    labels: Labels
    where: Mask
    error: float

    @property
    def share(self) -> float:
        """Settled pixels over all."""
        return float(self.where.mean())

    def require(self, found: NDArray[np.integer]) -> None:
        """Fail unless the labels found are those of the file wherever they are settled."""
        assert self.share >= FEWEST, f"only {self.share:.0%} of the pixels are settled: this shows nothing"
        assert len(np.unique(self.labels[self.where])) > 1, "a file of one label shows nothing"
        wrong = (found != self.labels) & self.where
        assert not wrong.any(), f"{wrong.sum()} of {self.where.sum()} labels differ that no rounding can change"


def settle(model: ModelProto, image: RgbImage, precision: Precision) -> Settled:
    """Where the labels of an image are settled in every arithmetic that a precision allows.

    model: the fp32 file, of fp16 as well; of int8 and int8-fp16 the int8 file. Its batch is 1.
    A computation moves a lead by at most what the largest disturbance did, and two computations are compared.
    """
    labels, logits = answer(model, image)
    lead = leads(logits, labels)
    moved = error = 0.0
    for seed in range(DRAWS):
        _, other = answer(disturbed(model, UNITS[precision], seed), image)
        moved = max(moved, float(np.abs(leads(other, labels) - lead).max()))
        error = max(error, float(np.abs(other - logits).max()))
    return Settled(labels, lead > 2 * moved, error)


def answer(model: ModelProto, image: RgbImage) -> tuple[Labels, Logits]:
    """Label map and logits (C, H, W) of the file as it stands, by ONNX Runtime."""
    shown = ModelProto()
    shown.CopyFrom(model)
    (logits,) = (node.input[0] for node in model.graph.node if node.op_type == "ArgMax")
    shown.graph.output.append(helper.make_tensor_value_info(logits, TensorProto.FLOAT, None))
    labels, values = open_session(shown, optimised=False).run([LABELS, logits], {IMAGE: image[None]})
    return labels[0].astype(np.uint8), values[0]


def leads(logits: Logits, labels: Labels) -> NDArray[np.float32]:
    """By how much the logit of each label exceeds the highest other one; below 0 where another one is higher."""
    index = labels[None].astype(np.int64)
    others = logits.copy()
    np.put_along_axis(others, index, -np.inf, 0)
    lead: NDArray[np.float32] = np.take_along_axis(logits, index, 0)[0] - others.max(0)
    return lead


def disturbed(model: ModelProto, unit: float, seed: int) -> ModelProto:
    """The file with every float value of its network, weights included, changed at random by up to `unit` of itself.

    Sums are in fp32, whatever the type of the values: in one of n terms, each is off by as much as sqrt(n) roundings.
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    rng = np.random.default_rng(seed)
    for tensor in copy.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1:
            weights = numpy_helper.to_array(tensor)
            most = unit + SINGLE * np.sqrt(np.prod(weights.shape[1:]))
            noisy = weights * (1 + most * rng.uniform(-1, 1, weights.shape))
            tensor.CopyFrom(numpy_helper.from_array(noisy.astype(np.float32), tensor.name))
    nodes = list(with_noise(copy, unit, seed))
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def with_noise(model: ModelProto, unit: float, seed: int) -> Iterator[NodeProto]:
    """The nodes, and behind each that gives a float value of the network one that multiplies it by 1 ± unit."""
    floats = {value.name for value in model.graph.value_info if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    floats -= outside_network(model)
    renamed: dict[str, str] = {}
    for number, node in enumerate(model.graph.node):
        for position, name in enumerate(node.input):
            node.input[position] = renamed.get(name, name)
        yield node
        for name in floats.intersection(node.output):
            factor, renamed[name] = f"{name}/factor", f"{name}/noisy"
            yield random_like(name, factor, 1 - unit, 1 + unit, 1000 * seed + number)
            yield helper.make_node("Mul", [name, factor], [renamed[name]])


def random_like(name: str, noise: str, low: float, high: float, seed: int) -> NodeProto:
    """A node that draws uniform numbers in the shape of a value."""
    return helper.make_node("RandomUniformLike", [name], [noise], low=low, high=high, seed=float(seed))


def outside_network(model: ModelProto) -> set[str]:
    """What is computed before the network's input, which is fp32 in every file, and the logits themselves."""
    outputs = [node.output[0] for node in model.graph.node]
    before = outputs[: outputs.index(NETWORK_INPUT)] if NETWORK_INPUT in outputs else []
    return {*before, *(node.input[0] for node in model.graph.node if node.op_type == "ArgMax")}


def share_changed_by_steps(fp32: ModelProto, int8: ModelProto, images: Sequence[RgbImage]) -> float:
    """Share of the fp32 file's labels that random errors of the size of the int8 file's steps change.

    Rounding to these steps changes others, but about as many.
    """
    changed = [answer(stepped(int8, seed), image)[0] != answer(fp32, image)[0] for seed, image in enumerate(images)]
    return float(np.mean(changed))


def stepped(int8: ModelProto, seed: int) -> ModelProto:
    """The file with a random error of up to half a step in place of each QuantizeLinear and its pair.

    Activations are cut where the integers end.
    """
    copy = ModelProto()
    copy.CopyFrom(int8)
    rng = np.random.default_rng(seed)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in int8.graph.initializer}
    source = {node.output[0]: node.input[0] for node in int8.graph.node if node.op_type == "QuantizeLinear"}
    del copy.graph.node[:]
    for number, node in enumerate(int8.graph.node):
        if node.op_type == "DequantizeLinear":
            name, output, step, zero = source[node.input[0]], node.output[0], *(constants[n] for n in node.input[1:])
            if name in constants:  # weights, with one scale or one for each channel of the first axis
                weights = constants[name]
                most = step.reshape(-1, *[1] * (weights.ndim - 1)) / 2
                noisy = (weights + most * rng.uniform(-1, 1, weights.shape)).astype(np.float32)
                copy.graph.initializer.append(numpy_helper.from_array(noisy, output))
            else:
                ends = np.iinfo(zero.dtype)
                for end, value in (("least", ends.min), ("most", ends.max)):
                    limit = np.array(step * (value - float(zero)), np.float32)
                    copy.graph.initializer.append(numpy_helper.from_array(limit, f"{output}/{end}"))
                cut, noise, half = f"{output}/cut", f"{output}/noise", float(step) / 2
                limited = helper.make_node("Clip", [name, f"{output}/least", f"{output}/most"], [cut])
                error = random_like(name, noise, -half, half, 1000 * seed + number)
                copy.graph.node.extend([limited, error, helper.make_node("Add", [cut, noise], [output])])
        elif node.op_type != "QuantizeLinear":
            copy.graph.node.append(node)
    return copy

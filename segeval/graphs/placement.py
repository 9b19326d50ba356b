"""Placements: which inputs of a network's operators are rounded to int8, that is, where the Q/DQ pairs are.

``accurate``: activations and weights of the operators that the calibration names, and nothing else.

``fused``: what TensorRT needs to compute a convolution, the sum and the activation behind it in one kernel that reads
int8 and writes int8, by the recommendations for explicit quantization in NVIDIA's documentation and by ModelOpt:

* Activations and weights of every convolution that is not too small to gain by it (`too_small`).
* Of a sum of which one term is written by such a convolution for this sum alone, the other term, the residual. The
  convolution's own term must stay exact: a pair there would keep the two apart. Of two convolutions
  the one further from the network's input is joined with the sum, at the same distance that of the second term.
* Everything that a concatenation joins, where such a convolution writes a part of it or reads the result. Parts and
  result share one scale, so that joining them is copying.

Activations have no pair before them: they belong to the convolution's kernel, and the next operator rounds.
The rules apply to the network before it is quantized and to the written file, where pairs are skipped.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from onnx import ModelProto, NodeProto, helper

from segeval.graphs.calibration import CalibrationSpec

Q, DQ = "QuantizeLinear", "DequantizeLinear"

WIDE = 16
"""Number of channels from which a convolution always gains by int8."""
STEP = 8
"""int8 kernels compute channels in groups of this size, and pad the last group."""
KERNEL = 3
"""The smallest kernel with which a grouped convolution of few channels gains by int8."""

Place = tuple[str, int]
"""An input: name of the operator and position."""


def too_small(shape: Sequence[int], group: int) -> bool:
    """Whether a convolution has too few channels to gain by int8; the rule of NVIDIA's ModelOpt 0.47.

    Args:
        shape: of the weights, (out, in per group, kernel…). One with 16 channels in and out gains. Of the others a
            grouped one does with a multiple of 8 channels out and a kernel of 3 or more, and one without groups with 16
            channels on one side, a multiple of 8 on one side and a square kernel.
        group: number of its groups.
    """
    out, taken, *kernel = shape
    if min(out, taken) >= WIDE:
        return False
    if group > 1:
        return out % STEP != 0 or min(kernel) < KERNEL
    return max(out, taken) < WIDE or (out % STEP != 0 and taken % STEP != 0) or len(set(kernel)) > 1


def groups(node: NodeProto) -> int:
    """Groups of a convolution."""
    return next((int(helper.get_attribute_value(a)) for a in node.attribute if a.name == "group"), 1)


class Operators:
    """The operators of a model in order, as if it had no pairs."""

    def __init__(self, model: ModelProto) -> None:
        self.nodes: list[NodeProto] = []
        self.shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
        self.depth: dict[str, int] = {}
        """By value, on the longest way the number of operators before it. The order of the nodes does not matter."""
        self._exact: dict[str, str] = {}
        readers: dict[str, list[NodeProto]] = defaultdict(list)
        for node in model.graph.node:
            if node.op_type in (Q, DQ):
                self._exact[node.output[0]] = self._exact.get(node.input[0], node.input[0])
                continue
            depth = 1 + max((self.depth.get(name, 0) for name in self.inputs(node)), default=0)
            self.depth.update(dict.fromkeys(node.output, depth))
            self.nodes.append(node)
            for name in self.inputs(node):
                readers[name].append(node)
        self.readers: Mapping[str, list[NodeProto]] = readers

    def inputs(self, node: NodeProto) -> list[str]:
        """What an operator takes, before it is rounded."""
        return [self._exact.get(name, name) for name in node.input]

    def computed(self, node: NodeProto) -> list[str]:
        """The same without stored constants."""
        return [name for name in self.inputs(node) if name not in self.shapes]

    def weights(self, node: NodeProto) -> tuple[int, ...]:
        """Shape of a convolution's weights; () if they are not stored."""
        return self.shapes.get(self.inputs(node)[1], ())


class Placement:
    """The inputs of a model that are rounded. nodes: names of the operators that may be; None for all."""

    def __init__(self, model: ModelProto, spec: CalibrationSpec, nodes: Collection[str] | None = None) -> None:
        self.spec, self.nodes = spec, nodes
        self._operators = Operators(model)
        self._convolutions: dict[str, NodeProto] = {}
        """By value, the convolution that gives it; those alone that are quantized in ``fused``."""
        self.sharing: list[set[str]] = []
        """Values that have one scale in common."""
        self._places: set[Place] = set()
        if spec.placement == "fused":
            self._fuse()

    def rounds(self, node: NodeProto, position: int) -> bool:
        """Whether an operator takes this input through a pair."""
        if self.spec.placement == "fused":
            return (node.name, position) in self._places
        chosen = self.nodes is None or node.name in self.nodes
        return chosen and node.op_type in self.spec.op_types and position < 2

    def rounded(self, node: NodeProto) -> list[int]:
        """The inputs that an operator takes through pairs."""
        return [position for position in range(len(node.input)) if self.rounds(node, position)]

    @property
    def summary(self) -> str:
        """What is quantized, in words."""
        types = ", ".join(self.spec.quantized_types)
        which = types if self.nodes is None else f"{len(self.nodes)} operators ({types})"
        return f"placement {self.spec.placement}, only {which}"

    def names(self) -> list[str]:
        """Operators that round anything, in order."""
        return [node.name for node in self._operators.nodes if self.rounded(node)]

    def left_out(self) -> tuple[str, ...]:
        """Convolutions that stay exact because they are too small."""
        if self.spec.placement == "accurate":
            return ()
        return tuple(node.name for node in self._operators.nodes if node.op_type == "Conv" and self._is_small(node))

    def _is_small(self, node: NodeProto) -> bool:
        shape = self._operators.weights(node)
        return not shape or too_small(shape, groups(node))

    def _fuse(self) -> None:
        for node in self._operators.nodes:
            chosen = self.nodes is None or node.name in self.nodes
            if node.op_type == "Conv" and chosen and not self._is_small(node):
                self._convolutions[node.output[0]] = node
                self._places.update({(node.name, 0), (node.name, 1)})
        for node in self._operators.nodes:
            if node.op_type == "Add":
                self._places.update((node.name, position) for position in self._residual(node))
            if node.op_type == "Concat" and self._joins(node):
                self._places.update((node.name, position) for position in range(len(node.input)))
                self._share({*self._operators.inputs(node), node.output[0]})

    def _residual(self, node: NodeProto) -> Iterator[int]:
        """The term of a sum that is not written by the convolution which the sum is joined with."""
        terms = self._operators.inputs(node)
        readers, depth = self._operators.readers, self._operators.depth
        alone = [at for at, name in enumerate(terms) if name in self._convolutions and len(readers[name]) == 1]
        if alone and len(self._operators.computed(node)) == 2:
            yield 1 - max(alone, key=lambda at: (depth[terms[at]], at))

    def _joins(self, node: NodeProto) -> bool:
        """Whether a concatenation is next to a quantized convolution and joins only computed values."""
        parts, readers = self._operators.inputs(node), self._operators.readers[node.output[0]]
        beside = any(part in self._convolutions for part in parts)
        beside |= any(reader.output[0] in self._convolutions for reader in readers)
        return beside and len(self._operators.computed(node)) == len(parts)

    def _share(self, values: set[str]) -> None:
        """Give these values one scale, and all that share one with any of them."""
        apart = [group for group in self.sharing if group.isdisjoint(values)]
        self.sharing = [*apart, values.union(*(group for group in self.sharing if group not in apart))]

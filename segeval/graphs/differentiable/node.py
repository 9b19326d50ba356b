"""A node of an ONNX graph, as passed to the functions that build its computation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from onnx import NodeProto, TensorProto, helper
from torch import Tensor

from segeval.errors import EngineError

Compute = Callable[..., Any]
"""From the inputs of a node, None for one that is left out, to its output, or to a tuple of several."""

REMEDY = "export the network without it, or simplify the file first (onnxsim, onnxruntime's quant_pre_process)"


@dataclass
class Working:
    """The type in which values of FLOAT and FLOAT16 are computed: float32, or float64 after ``.double()``."""

    dtype: torch.dtype = torch.float32


def label(proto: NodeProto) -> str:
    """A node's label in errors: operator and name, or its outputs if it has no name."""
    return f"{proto.op_type} {proto.name or ', '.join(proto.output)}"


@dataclass
class Node:
    """What is known about a node when its file is read.

    Attributes:
        proto: The node itself.
        version: Of its operator's definition: the opset that introduced it.
        stored: The value of every input that is a constant of the file, on the CPU; None for others.
        types: The element type of every input, 0 for one that is left out.
        shape: Of its first input, if that is fixed.
        half: Whether its first output is FLOAT16 in the file.
        working: The type of what is computed in floating point.
    """

    proto: NodeProto
    version: int
    stored: Sequence[Tensor | None]
    types: Sequence[int]
    shape: tuple[int, ...] | None
    half: bool
    working: Working
    read: set[str] = field(default_factory=set)

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute as Python has it, strings as str; the default if it is not given."""
        self.read.add(name)
        for attribute in self.proto.attribute:
            if attribute.name == name:
                value = helper.get_attribute_value(attribute)
                return value.decode() if isinstance(value, bytes) else value
        return default

    def one_of(self, name: str, default: Any, *others: Any) -> Any:
        """An attribute that must be its default or one of the other values. Raises EngineError."""
        value = self.attribute(name, default)
        if value not in (default, *others):
            raise self.refusal(f"{name} {value!r}")
        return value

    def refusal(self, what: str) -> EngineError:
        """The error for something of this node that is not computed here. what: continues the node's name."""
        return EngineError(f"{label(self.proto)}: {what} cannot be computed with a gradient here", REMEDY)

    def has(self, position: int) -> bool:
        """Whether an input is given."""
        return position < len(self.proto.input) and bool(self.proto.input[position])

    def constant(self, position: int, what: str) -> Tensor:
        """An input that must be a constant of the file. Raises EngineError."""
        value = self.stored[position] if position < len(self.stored) else None
        if value is None:
            raise self.refusal(f"{what} that is not a constant of the file")
        return value

    def integers(self, position: int, what: str) -> list[int] | None:
        """An input of integers that must be constant; None if it is left out. Raises EngineError."""
        if not self.has(position):
            return None
        value = self.constant(position, what)
        return [int(each) for each in value.flatten().tolist()]

    def integers_since(self, version: int, name: str, position: int) -> list[int] | None:
        """What was an attribute and is an input since this version of the operator; None if it is not given."""
        if self.version >= version:
            return self.integers(position, name)
        given = self.attribute(name)
        return None if given is None else list(given)

    def require_all_read(self) -> None:
        """Raise EngineError if there is an attribute that the builder did not read."""
        for attribute in self.proto.attribute:
            if attribute.name not in self.read:
                raise self.refusal(f"its attribute {attribute.name}")


FLOATS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE})
INTEGERS = frozenset({TensorProto.INT32, TensorProto.INT64})
LEVELS = frozenset(
    {
        TensorProto.INT4,
        TensorProto.UINT4,
        TensorProto.INT8,
        TensorProto.UINT8,
        TensorProto.INT16,
        TensorProto.UINT16,
    }
)
"""What values are rounded to. They are held as whole numbers in floating point, so that a gradient passes."""
BOOLEAN = frozenset({TensorProto.BOOL})
NUMBERS = FLOATS | INTEGERS
ANY = NUMBERS | LEVELS | BOOLEAN


def dtype_of(element: int, working: Working) -> torch.dtype:
    """The type in which values of an ONNX type are held."""
    if element == TensorProto.DOUBLE:
        return torch.float64
    if element == TensorProto.BOOL:
        return torch.bool
    if element in INTEGERS:
        return torch.int32 if element == TensorProto.INT32 else torch.int64
    return working.dtype

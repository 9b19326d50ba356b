"""Tensors that are made of shapes and numbers."""

from typing import Any

import torch
from onnx import TensorProto, numpy_helper
from torch import Tensor

from segeval.graphs.differentiable.constants import held
from segeval.graphs.differentiable.node import Compute, Node


def shape(node: Node) -> Compute:
    """The sizes of some of the axes, on the CPU."""
    first, last = node.attribute("start", 0), node.attribute("end")
    return lambda x: torch.tensor(x.shape[slice(first, last)], dtype=torch.int64)


def size(node: Node) -> Compute:
    """The number of values."""
    return lambda x: torch.tensor(x.numel())


def constant(node: Node) -> Compute:
    """A value that the node holds."""
    kinds = {"value_float": torch.float32, "value_floats": torch.float32}
    kinds |= {"value_int": torch.int64, "value_ints": torch.int64}
    value: Any = node.attribute("value")
    if value is not None:
        return lambda: held(value)
    for name, dtype in kinds.items():
        given = node.attribute(name)
        if given is not None:
            return lambda: torch.tensor(given, dtype=dtype)
    raise node.refusal("its kind of value")


def constant_of_shape(node: Node) -> Compute:
    """A value, 0 without one, in a shape."""
    given: TensorProto = node.attribute("value") or numpy_helper.from_array(torch.zeros(1).numpy())
    value = held(given)

    def compute(sizes: Tensor) -> Tensor:
        dtype = node.working.dtype if value.dtype == torch.float32 else value.dtype
        return value.to(dtype).reshape(()).expand(sizes.tolist())

    return compute


def steps(node: Node) -> Compute:
    """From a start to before a limit by a step."""

    def compute(start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
        return torch.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)

    return compute

"""ONNX's own tests of operators: small models with inputs and the outputs that the definition gives."""

import functools
import importlib
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, numpy_helper
from onnx.backend.test.case import node as node_cases

from segeval.graphs.differentiable.graph import DifferentiableGraph
from segeval.graphs.differentiable.operator_registry import OPERATORS
from segeval.graphs.differentiable.steps import OLDEST

FILES = {
    "And": "and_",
    "BatchNormalization": "batch_normalization",
    "GreaterOrEqual": "greater_or_equal",
    "InstanceNormalization": "instance_normalization",
    "LessOrEqual": "less_or_equal",
    "Not": "not_",
    "Or": "or_",
    "Range": "rangeop",
    "ReduceLogSumExp": "reduce_log_sum_exp",
}
"""The file of an operator's tests, where it is not simply its name."""


@dataclass(frozen=True)
class NodeTest:
    """A test. sets: of inputs and outputs.   rtol, atol: how near the outputs must be, relatively and absolutely."""

    model: ModelProto
    sets: list[tuple[list[Any], list[Any]]]
    rtol: float
    atol: float

    @property
    def operators(self) -> set[str]:
        return {node.op_type for node in self.model.graph.node}


@functools.cache
def node_tests() -> dict[str, NodeTest]:
    """Every test of which all operators are claimed, by name. Only their files are imported: all take 20 s."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some overflow on purpose
        for operator in OPERATORS:
            name = f"{node_cases.__name__}.{FILES.get(operator, operator.lower())}"
            assert find_spec(name) is not None, name
            importlib.import_module(name)
    found = {}
    for case in sorted(node_cases._NodeTestCases, key=lambda case: case.name):
        sets = [(list(inputs), list(outputs)) for inputs, outputs in case.data_sets or ()]
        test = NodeTest(modern(case.model), sets, case.rtol, case.atol) if case.model is not None else None
        if test is not None and test.operators <= OPERATORS.keys():
            found[case.name] = test
    return found


def modern(model: ModelProto) -> ModelProto:
    """The same model with the oldest opset that is claimed, if its own is older still: the definition is the same."""
    copy = ModelProto()
    copy.CopyFrom(model)
    copy.opset_import[0].version = max(copy.opset_import[0].version, OLDEST)
    return copy


def stored(model: ModelProto, inputs: list[Any]) -> tuple[ModelProto, list[Any]]:
    """The same model with all inputs but the first as constants of the file, and what is left of its inputs."""
    copy = ModelProto()
    copy.CopyFrom(model)
    copy.ir_version = max(copy.ir_version, 4)  # which is the first to have constants that are no inputs
    given = [end for end, _ in zip(list(copy.graph.input), inputs, strict=True)]
    for end, value in list(zip(given, inputs, strict=True))[1:]:
        tensor = TensorProto()
        tensor.CopyFrom(value if isinstance(value, TensorProto) else numpy_helper.from_array(np.asarray(value)))
        tensor.name = end.name
        copy.graph.initializer.append(tensor)
        copy.graph.input.remove(end)
    return copy, inputs[:1]


def computed(model: ModelProto, inputs: list[Any]) -> list[NDArray[Any]]:
    """What the module gives. Raises EngineError."""
    graph = DifferentiableGraph(model)
    with torch.no_grad():
        return [each.numpy() for each in graph(*map(as_tensor, inputs))]


def as_array(values: Any) -> NDArray[Any]:
    """What a test gives or expects; 4 bits as whole numbers in float32."""
    array = numpy_helper.to_array(values) if isinstance(values, TensorProto) else np.asarray(values)
    return array if array.dtype.isbuiltin == 1 else array.astype(np.float32)


def as_tensor(values: Any) -> torch.Tensor:
    """An input; unsigned integers of 16 bits as whole numbers in float32."""
    array = as_array(values)
    return torch.from_numpy(np.array(array, np.float32 if array.dtype == np.uint16 else array.dtype))

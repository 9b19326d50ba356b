"""Every operator against ONNX's own tests, older definitions against ONNX Runtime, gradients against differences."""

import re
from collections.abc import Callable
from fnmatch import fnmatch
from functools import partial
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, defs, helper, numpy_helper
from onnx.checker import ValidationError, check_model
from onnx.shape_inference import InferenceError
from torch import Tensor
from torch.autograd import gradcheck

from segeval.errors import EngineError
from segeval.graphs.differentiable.graph import DifferentiableGraph
from segeval.graphs.differentiable.operator_registry import OPERATORS
from segeval.graphs.differentiable.steps import OLDEST
from tests.graphs.differentiable.node_tests import NodeTest, as_array, computed, node_tests, stored

REFUSED = {
    "FLOAT8|FLOAT4|BFLOAT16|INT2|not a tensor|STRING": (
        "*FLOAT8*",
        "*FLOAT4*",
        "*BFLOAT16*",
        "*bfloat16*",
        "*INT2*",
        "*linear_uint2",
        "*linear_int2",
        "*_e4m3fn*",
        "*_e5m2",
        "*_float4e2m1",
        "*equal_string*",
        "test_identity_opt",
        "test_identity_sequence",
    ),
    "type UINT(32|64)|UINT(32|64)": ("*_uint32*", "*_uint64*"),
    r"type U?INT(8|16)": tuple(f"test_{name}_*int{bits}" for name in ("add", "sub", "mul", "div") for bits in (8, 16)),
    "cast to U?INT4": ("test_cast_FLOAT*_to_*INT4",),
    "has no values": ("*_empty_set*", "test_split_zero_size*", "test_reshape_allowzero_reordered"),
    "dilations": ("test_averagepool_*dilations*",),
    "only its first output": ("test_batchnorm_*_training_mode", "*dropout*mask*", "test_maxpool_with_argmax*"),
    "training_mode": ("test_training_dropout*",),
    "align_corners": ("test_resize_downsample_scales_*_align_corners",),
    "antialias": ("*_antialias",),
    "tf_crop_and_resize": ("test_resize_tf_crop_and_resize*",),
}
"""What the error says, and the tests whose models are refused with it."""
STORED = "that is not a constant of the file"
"""What the error says where an input of the test is a constant in every file of a network."""
RESTING = frozenset({"Cast", "Ceil", "Constant", "Floor", "QuantizeLinear", "Range", "Round"})
"""Operators of numbers alone, and those whose gradient passes straight through a rounding: test_rounding has it."""
POSITIVE = frozenset({"Log", "Pow", "Sqrt"})
"""Operators of positive values."""
FORMERLY_ATTRIBUTES = {"ReduceSum": 13, "Split": 13, "Squeeze": 13, "Unsqueeze": 13} | {
    name: 18 for name in OPERATORS if name.startswith("Reduce") and name != "ReduceSum"
}
"""The version from which on axes, or the sizes of a split, are an input."""


def names() -> list[str]:
    return list(node_tests())


def refusals(name: str) -> list[str]:
    """What errors may say of a test."""
    return [reason for reason, patterns in REFUSED.items() if any(fnmatch(name, pattern) for pattern in patterns)]


def compare(found: list[NDArray[Any]], expected: list[Any], test: NodeTest) -> None:
    for one, other in zip(found, map(as_array, expected), strict=True):
        assert one.shape == other.shape
        first, second = (each if each.dtype == bool else each.astype(np.float64) for each in (one, other))
        np.testing.assert_allclose(first, second, rtol=test.rtol, atol=test.atol)


def test_every_operator_has_a_test_and_what_is_refused_is_known() -> None:
    alone = {name for test in node_tests().values() for name in test.operators if len(test.operators) == 1}
    assert OPERATORS.keys() == alone and len(OPERATORS) == 99
    for patterns in REFUSED.values():
        for pattern in patterns:
            assert any(fnmatch(name, pattern) for name in names()), f"{pattern} is no test any more"


def test_every_definition_since_opset_11_is_claimed() -> None:
    """But for the first GroupNormalization, whose parameters were those of a group."""
    for name, operator in OPERATORS.items():
        known = {s.since_version for s in defs.get_all_schemas_with_history() if s.name == name and s.domain == ""}
        first = max((version for version in known if version <= OLDEST), default=0)
        left_out = {18} if name == "GroupNormalization" else set()
        assert set(operator.versions) == {version for version in known if version >= first} - left_out, name


@pytest.mark.parametrize("name", names())
def test_as_onnx_defines_it(name: str) -> None:
    """With all inputs but the first as constants, as in a network's file; and with none, unless that is refused."""
    test = node_tests()[name]
    model = test.model
    for inputs, outputs in test.sets:
        if expected := refusals(name):
            file, _ = stored(model, inputs)
            attempts: list[Callable[[], object]] = [
                partial(computed, model, inputs),
                partial(DifferentiableGraph, file),
            ]
            for attempt in attempts:  # as a file it is refused when it is read
                with pytest.raises(EngineError) as caught:
                    attempt()
                said = caught.value.what + caught.value.hint
                assert any(re.search(reason, said) for reason in expected) or STORED in said
            continue
        compare(computed(*stored(model, inputs)), outputs, test)
        try:
            found = computed(model, inputs)
        except EngineError as error:
            assert STORED in error.what or "has no values" in error.what
        else:
            compare(found, outputs, test)


def at_version(model: ModelProto, version: int) -> ModelProto:
    """A model of one operator as one of an older definition of it. It need not be valid."""
    copy = ModelProto()
    copy.CopyFrom(model)
    copy.opset_import[0].version, copy.ir_version = max(version, OLDEST), 8
    node, constants = copy.graph.node[0], {tensor.name: tensor for tensor in copy.graph.initializer}
    if version < FORMERLY_ATTRIBUTES.get(node.op_type, 0) and len(node.input) > 1:
        name = "split" if node.op_type == "Split" else "axes"
        values = numpy_helper.to_array(constants[node.input[1]]).tolist()
        node.attribute.extend([helper.make_attribute(name, values)] if values else [])
        copy.graph.initializer.remove(constants[node.input[1]])
        del node.input[1]
    if node.op_type == "Resize" and version == 11:
        empty = [position for position in (1, 2) if not node.input[position]]
        for position in empty:  # these inputs had to be there
            node.input[position] = f"none{position}"
            copy.graph.initializer.append(numpy_helper.from_array(np.zeros(0, np.float32), f"none{position}"))
    return copy


OLDER = [(name, each) for name, operator in OPERATORS.items() for each in operator.versions[:-1] if each <= 21]
"""Definitions that ONNX's own tests, which are of the newest, say nothing of, as far as files of today have them."""


def in_onnx_runtime(model: ModelProto, inputs: list[Any]) -> list[NDArray[Any]] | None:
    """What ONNX Runtime computes without any optimisation; None if it has not got this."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        found: list[NDArray[Any]] = session.run(
            None, {model.graph.input[0].name: as_array(inputs[0])} if inputs else {}
        )
    except Exception:  # they have no base of their own
        return None
    return found


@pytest.mark.parametrize(("operator", "version"), OLDER)
def test_older_definitions_are_computed_as_onnx_runtime_does(operator: str, version: int) -> None:
    compared = 0
    for test in node_tests().values():
        if test.operators != {operator}:
            continue
        inputs, _ = test.sets[0]
        model, rest = stored(test.model, inputs)
        older = at_version(model, version)
        try:
            check_model(older, full_check=True)
            found = computed(older, rest)
        except (ValidationError, InferenceError, EngineError):
            continue
        expected = in_onnx_runtime(older, rest)
        if expected is not None:
            compare(found, expected, test)
            compared += 1
    assert compared


def differentiable_tests() -> list[str]:
    """Tests of real numbers that are no rounding, and computed."""
    found = []
    for name, test in node_tests().items():
        ends = [*test.model.graph.input, *test.model.graph.output]
        kinds = {end.type.tensor_type.elem_type for end in (ends[0], ends[-1])}
        if not refusals(name) and not test.operators & RESTING and kinds <= {TensorProto.FLOAT, TensorProto.DOUBLE}:
            found.append(name)
    return found


def real(values: NDArray[Any]) -> NDArray[Any]:
    """Real values in float64, others as they are."""
    return values.astype(np.float64) if np.issubdtype(values.dtype, np.floating) else np.array(values)


def apart(values: Tensor, positive: bool, rng: np.random.Generator) -> Tensor:
    """Other values of this shape: no two of them equal, none of them round."""
    spread = torch.from_numpy(rng.permutation(np.linspace(-2, 2, values.numel())) + 0.0137)
    return (spread.abs() + 0.2 if positive else spread).reshape(values.shape)


def test_every_operator_with_a_gradient_is_tested_for_it() -> None:
    without = {"ArgMax", "ArgMin", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Shape", "Size"}
    without |= {"And", "Or", "Not", "Xor", "ConstantOfShape", "DequantizeLinear"} | RESTING
    tested = {name for test in differentiable_tests() for name in node_tests()[test].operators}
    assert OPERATORS.keys() - tested <= without


@pytest.mark.parametrize("name", differentiable_tests())
def test_the_gradient_is_the_limit_of_differences(name: str) -> None:
    """In float64, with a gradient to every real input that need not be a constant of the file."""
    test, rng = node_tests()[name], np.random.default_rng(0)
    model, inputs = test.model, test.sets[0][0]
    try:
        graph = DifferentiableGraph(model).double()
    except EngineError:
        model, inputs = stored(model, inputs)
        graph = DifferentiableGraph(model).double()
    given = [torch.from_numpy(real(as_array(values))) for values in inputs]
    if given[0].is_floating_point():
        given[0] = apart(given[0], bool(test.operators & POSITIVE), rng)
    parameters = OPERATORS[model.graph.node[0].op_type].parameters if len(model.graph.node) == 1 else ()
    for place, each in enumerate(given):
        each.requires_grad_(each.is_floating_point() and place not in parameters)
    assert gradcheck(graph, given, fast_mode=True)

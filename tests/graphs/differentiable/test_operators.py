"""Every operator against ONNX's own tests, older definitions against ONNX Runtime, gradients against differences."""

import re
from fnmatch import fnmatch
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import defs

from segeval.errors import EngineError
from segeval.graphs.differentiable.registry import OPERATORS
from segeval.graphs.differentiable.steps import OLDEST
from tests.graphs.differentiable.node_tests import NodeTest, as_array, computed, node_tests, stored

REFUSED = {
    "FLOAT8|FLOAT4|BFLOAT16|INT2|no tensor|STRING": (
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
STORED = "that is no constant of the file"
"""What the error says where an input of the test is a constant in every file of a network."""
RESTING = frozenset({"ArgMax", "ArgMin", "Ceil", "Floor", "Round", "QuantizeLinear", "Cast", "Shape", "Size"})
"""Operators without a gradient, or with one that passes straight through a rounding: test_rounding has it."""


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
            for given in ((model, inputs), stored(model, inputs)):
                with pytest.raises(EngineError) as caught:
                    computed(*given)
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

"""The rules that every deployed file keeps so that TensorRT reads it, broken one at a time."""

from collections.abc import Callable
from typing import Any

import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper
from onnx.defs import get_schema

from segeval.deploy.contract import check_contract
from segeval.deploy.export import export_fp32
from segeval.deploy.operators import OPERATORS
from segeval.errors import EngineError
from segeval.models import Segmenter
from segeval.models.loading import build_network, load_spec
from segeval.registry import MODELS

Spoil = Callable[[ModelProto], None]


@pytest.fixture
def broken(exported: dict[str, ModelProto]) -> ModelProto:
    model = ModelProto()
    model.CopyFrom(exported["fast-scnn-synthetic"])
    return model


def first(model: ModelProto, op_type: str) -> NodeProto:
    found: NodeProto = next(node for node in model.graph.node if node.op_type == op_type)
    return found


def behind_the_network(model: ModelProto, op_type: str, outputs: int = 1, **attributes: Any) -> None:
    """Add a node that reads the logits and that nobody reads."""
    names = [f"added_{number}" for number in range(outputs)]
    model.graph.node.append(helper.make_node(op_type, ["network_output"], names, "added", **attributes))


def transposed_before_the_cast(model: ModelProto) -> None:
    """The form of the first contract, which no TensorRT reads."""
    cast, transpose = first(model, "Cast"), first(model, "Transpose")
    planes = transpose.output[0]
    transpose.input[0], transpose.output[0] = "image", "bytes"
    cast.input[0], cast.output[0] = "bytes", planes
    nodes = [transpose, cast, *[node for node in model.graph.node if node not in (cast, transpose)]]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def read_twice(model: ModelProto) -> None:
    model.graph.node.append(helper.make_node("Cast", ["image"], ["again"], "again", to=TensorProto.FLOAT))


def cast_to_integers(model: ModelProto) -> None:
    first(model, "Cast").attribute[0].i = TensorProto.INT32


def unknown_operator(model: ModelProto) -> None:
    behind_the_network(model, "Det")


def double(model: ModelProto) -> None:
    behind_the_network(model, "Cast", to=TensorProto.DOUBLE)
    model.graph.node.append(helper.make_node("Relu", ["added_0"], ["relu"], "double"))


def cubic(model: ModelProto) -> None:
    resize = first(model, "Resize")
    mode = next(attribute for attribute in resize.attribute if attribute.name == "mode")
    mode.s = b"cubic"


def indices(model: ModelProto) -> None:
    behind_the_network(model, "MaxPool", outputs=2, kernel_shape=[2, 2])


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (transposed_before_the_cast, "Transpose takes .*; image is UINT8"),
        (read_twice, "a Cast to float alone may read it"),
        (cast_to_integers, "a Cast to float alone may read it"),
        (unknown_operator, "added: TensorRT 8.5 to 11 has no operator Det"),
        (double, "double: TensorRT's Relu takes FLOAT, FLOAT16; added_0 is DOUBLE"),
        (cubic, "Resize does not do mode b?'cubic'"),
        (indices, "MaxPool gives no indices"),
    ],
)
def test_what_tensorrt_does_not_take_is_refused(broken: ModelProto, spoil: Spoil, rule: str) -> None:
    check_contract(broken, "fp32")
    spoil(broken)
    with pytest.raises(EngineError, match=rule):
        check_contract(broken, "fp32")


@pytest.mark.parametrize("name", list(MODELS))
def test_every_registered_network_keeps_the_contract(name: str) -> None:
    spec = load_spec(name)
    segmenter = Segmenter(spec, build_network(spec, None))
    model = export_fp32(segmenter, 4 * spec.multiple_of, 8 * spec.multiple_of)
    check_contract(model, "fp32")
    assert [node.op_type for node in model.graph.node][:2] == ["Cast", "Transpose"]


def test_the_table_names_operators_of_onnx() -> None:
    for name in OPERATORS:
        get_schema(name, 17)

"""The rules that every deployed file keeps so that TensorRT reads it, broken one at a time."""

from typing import Any

import pytest
from onnx import ModelProto, TensorProto, helper
from onnx.defs import get_schema

from segeval.errors import EngineError
from segeval.graphs.contract import check_contract
from segeval.graphs.export import export_fp32
from segeval.graphs.operators import OPERATORS
from segeval.models import Segmenter
from segeval.models.loading import build_network, load_spec
from segeval.registry import MODELS
from tests.graphs import broken as broken_files
from tests.graphs.broken import Spoil, first


@pytest.fixture
def broken(exported: dict[str, ModelProto]) -> ModelProto:
    model = ModelProto()
    model.CopyFrom(exported["fast-scnn-synthetic"])
    return model


def behind_the_network(model: ModelProto, op_type: str, outputs: int = 1, **attributes: Any) -> None:
    """Add a node that reads the logits and that nobody reads."""
    names = [f"added_{number}" for number in range(outputs)]
    model.graph.node.append(helper.make_node(op_type, ["network_output"], names, "added", **attributes))


def read_twice(model: ModelProto) -> None:
    model.graph.node.append(helper.make_node("Cast", ["image"], ["again"], "again", to=TensorProto.FLOAT))


def cast_to_integers(model: ModelProto) -> None:
    first(model, "Cast").attribute[0].i = TensorProto.INT32


def cubic(model: ModelProto) -> None:
    resize = first(model, "Resize")
    mode = next(attribute for attribute in resize.attribute if attribute.name == "mode")
    mode.s = b"cubic"


def indices(model: ModelProto) -> None:
    behind_the_network(model, "MaxPool", outputs=2, kernel_shape=[2, 2])


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (broken_files.transposed_image, "Transpose takes .*; image is UINT8"),
        (read_twice, "only a Cast to float may read it"),
        (cast_to_integers, "only a Cast to float may read it"),
        (broken_files.unknown_operator, "added: TensorRT 8.5 to 11 has no operator Det"),
        (broken_files.double_precision, "added: TensorRT's Relu takes FLOAT, FLOAT16; wide is DOUBLE"),
        (cubic, "Resize does not do mode b?'cubic'"),
        (indices, "MaxPool gives no indices"),
    ],
)
def test_what_tensorrt_does_not_take_is_refused(broken: ModelProto, spoil: Spoil, rule: str) -> None:
    check_contract(broken, "fp32")
    spoil(broken)
    with pytest.raises(EngineError, match=rule):
        check_contract(broken, "fp32")


@pytest.mark.parametrize(
    "name",
    [name if "dicenet" not in name else pytest.param(name, marks=pytest.mark.long) for name in MODELS],
)
def test_every_registered_network_keeps_the_contract(name: str) -> None:
    spec = load_spec(name)
    segmenter = Segmenter(spec, build_network(spec, None))
    model = export_fp32(segmenter, 4 * spec.multiple_of, 8 * spec.multiple_of)
    check_contract(model, "fp32")
    assert [node.op_type for node in model.graph.node][:2] == ["Cast", "Transpose"]


def test_the_table_names_operators_of_onnx() -> None:
    for name in OPERATORS:
        get_schema(name, 17)

"""What later opsets say in other words is said in those of opset 17, and ONNX Runtime computes the same."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from segeval.errors import EngineError
from segeval.graphs.export import OPSET
from segeval.graphs.given.opset import at_opset_17, require_equal
from segeval.graphs.session import open_session

SHAPE = (1, 4, 6, 8)


def network(
    operator: str, opset: int, constants: Sequence[NDArray[Any] | None] = (), outputs: int = 1, **attributes: Any
) -> ModelProto:
    """A file of one operator that reads an image and constants."""
    given = ["x", *("" if each is None else f"c{number}" for number, each in enumerate(constants))]
    names = [f"y{number}" for number in range(outputs)]
    graph = helper.make_graph(
        [helper.make_node(operator, given, names, "node", **attributes)],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names],
        [numpy_helper.from_array(each, f"c{number}") for number, each in enumerate(constants) if each is not None],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model)


def integers(*values: int) -> NDArray[np.int64]:
    return np.array(values, np.int64)


SCALE, BIAS = np.array([1, 2, 3, 4], np.float32), np.array([0, 1, -1, 2], np.float32)
FILES = {
    "ReduceMean": network("ReduceMean", 18, [integers(2, 3)], keepdims=1),
    "ReduceMax, all axes": network("ReduceMax", 20, keepdims=0),
    "ReduceSum, idle": network("ReduceSumSquare", 18, [integers()], noop_with_empty_axes=0),
    "ReduceL2, no axes, idle": network("ReduceMean", 18, noop_with_empty_axes=1),
    "Split": network("Split", 18, outputs=3, num_outputs=3, axis=3),
    "Pad": network("Pad", 18, [integers(1, -1, 2, 3), np.array(0.5, np.float32), integers(2, -1)]),
    "Pad, reflected": network("Pad", 21, [integers(0, 0, 2, 1, 0, 0, 1, 2)], mode="reflect"),
    "Resize, sizes of two axes": network("Resize", 18, [None, None, integers(12, 12)], axes=[2, 3], mode="linear"),
    "Resize, scales of one axis": network("Resize", 19, [None, np.array([2], np.float32)], axes=[-1], antialias=0),
    "Gelu": network("Gelu", 20),
    "Gelu by tanh": network("Gelu", 20, approximate="tanh"),
    "Mish": network("Mish", 18),
    "GroupNormalization": network("GroupNormalization", 21, [SCALE, BIAS], num_groups=2, epsilon=1e-3),
    "Transpose": network("Transpose", 21, perm=[0, 2, 3, 1]),
    "Cast": network("Cast", 19, to=TensorProto.FLOAT, saturate=1),
    "AveragePool": network("AveragePool", 19, kernel_shape=[2, 2]),
    "HardSwish": network("HardSwish", 22),
}


@pytest.mark.parametrize("name", FILES)
def test_the_same_is_computed(name: str) -> None:
    before = FILES[name]
    after = at_opset_17(before, "net.onnx")
    assert {each.domain: each.version for each in after.opset_import} == {"": OPSET}
    onnx.checker.check_model(onnx.shape_inference.infer_shapes(after, strict_mode=True), full_check=True)
    x = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    wanted, found = (open_session(model, optimised=False).run(None, {"x": x}) for model in (before, after))
    assert len(wanted) == len(found)
    for one, other in zip(wanted, found, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["Split", "Resize, sizes of two axes", "GroupNormalization"])
def test_so_is_it_of_a_value_that_is_stored(name: str) -> None:
    before = ModelProto()
    before.CopyFrom(FILES[name])
    before.graph.node[0].input[0] = "stored"
    x = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    before.graph.initializer.append(numpy_helper.from_array(x, "stored"))
    after = at_opset_17(before, "net.onnx")
    wanted, found = (open_session(model, optimised=False).run(None, {"x": x})[0] for model in (before, after))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (network("Swish", 24), "opset 24"),
        (network("AveragePool", 19, kernel_shape=[2, 2], dilations=[2, 2]), "dilations"),
        (network("Pad", 19, [integers(0, 0, 1, 1, 0, 0, 1, 1)], mode="wrap"), "mode wrap"),
        (network("Resize", 18, [None, None, integers(1, 4, 3, 4)], mode="linear", antialias=1), "antialias"),
        (network("GroupNormalization", 18, [SCALE[:2], BIAS[:2]], num_groups=2), "scales groups"),
    ],
)
def test_what_opset_17_cannot_say_is_named(model: ModelProto, said: str) -> None:
    with pytest.raises(EngineError, match=said) as caught:
        at_opset_17(model, "net.onnx")
    assert "net.onnx" in caught.value.what and "opset 17" in caught.value.hint


def test_a_file_that_computes_something_else_is_found_out() -> None:
    before, after = FILES["Gelu"], at_opset_17(FILES["Gelu by tanh"], "net.onnx")
    require_equal(before, at_opset_17(before, "net.onnx"), "net.onnx")
    after.graph.node[0].op_type = "Sin"
    del after.graph.node[0].input[1:]
    with pytest.raises(EngineError, match="computes something else"):
        require_equal(before, after, "net.onnx")

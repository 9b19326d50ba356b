"""LayerNormalization in the operators that TensorRT 8.5 has, held to ONNX Runtime's own."""

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from segeval.graphs.decomposed import without_layer_normalization
from segeval.graphs.session import open_session


def file_of(axis: int, bias: bool, outputs: int = 1) -> ModelProto:
    scale = np.linspace(-1, 2, 5 if axis == -1 else 20, dtype=np.float32).reshape((5,) if axis == -1 else (4, 5))
    constants = [numpy_helper.from_array(each, name) for each, name in ((scale, "scale"), (scale + 1, "bias"))]
    names = ["y", "mean"][:outputs]
    node = helper.make_node(
        "LayerNormalization", ["x", "scale", "bias"][: 2 + bias], names, "node", axis=axis, epsilon=0.1
    )
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (2, 4, 5))],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, (2, 4, 5) if name == "y" else None) for name in names],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(("axis", "bias"), [(-1, True), (-1, False), (-2, True)])
def test_the_same_is_computed(axis: int, bias: bool) -> None:
    before = file_of(axis, bias)
    after = without_layer_normalization(before)
    onnx.checker.check_model(after, full_check=True)
    assert "LayerNormalization" not in {node.op_type for node in after.graph.node}
    x = np.random.default_rng(0).normal(size=(2, 4, 5)).astype(np.float32)
    wanted, found = (open_session(model, optimised=False).run(None, {"x": x})[0] for model in (before, after))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("axis", "outputs"), [(-1, 2), (1, 1), (0, 1)])
def test_one_whose_statistics_are_read_or_whose_axis_is_counted_from_the_first_stays(axis: int, outputs: int) -> None:
    model = file_of(axis, True, outputs)
    assert without_layer_normalization(model) is model

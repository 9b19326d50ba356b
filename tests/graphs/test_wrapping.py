"""Files of the user's, wrapped and run by ONNX Runtime, against the same files run plainly between numpy and numpy."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from segeval.errors import EngineError
from segeval.graphs.brought import (
    Tensor,
    has_unsigned_activations,
    input_of,
    keeps_contract,
    like,
    output_of,
    read_onnx,
    with_shape,
)
from segeval.graphs.differentiable.graph_segmenter import GraphSegmenter
from segeval.graphs.wrapping import wrapped
from segeval_runner.described import Input, Output, label_maps, prepared

SIZE = (8, 12)
CLASSES = 4
RNG = np.random.default_rng(1)
IMAGES = RNG.integers(0, 256, (2, *SIZE, 3), dtype=np.uint8)
HALF, FLOAT, UINT8 = TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.UINT8
NORMAL: dict[str, Any] = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.1)}
Value = Any


def value(name: str, type: int, shape: tuple[Any, ...]) -> Value:
    return helper.make_tensor_value_info(name, type, shape)


def network(
    layout: str = "NCHW",
    type: int = FLOAT,
    classes: int = CLASSES,
    stride: int = 1,
    ends: str = "logits",
    opset: int = 17,
    names: tuple[str, str] = ("x", "y"),
    batch: Any = 2,
) -> ModelProto:
    """One convolution of random weights, in the layout and with the end that a user's file may have."""
    given, answer = names
    weights = numpy_helper.from_array(RNG.normal(size=(classes, 3, 3, 3)).astype(np.float32), "w")
    nodes, last = [], given
    if type != FLOAT:
        nodes.append(helper.make_node("Cast", [last], ["real"], to=FLOAT))
        last = "real"
    if layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [last], ["first"], perm=[0, 3, 1, 2]))
        last = "first"
    conv = helper.make_node("Conv", [last, "w"], ["scores"], "conv", strides=[stride] * 2, pads=[1, 1, 1, 1])
    nodes.append(conv)
    last, out = "scores", FLOAT
    inner = (-(-SIZE[0] // stride), -(-SIZE[1] // stride))
    shape: tuple[Any, ...] = (batch, classes, *inner)
    if ends == "probabilities":
        several: dict[str, Any] = {"axis": 1} if classes > 1 else {}
        nodes.append(helper.make_node("Softmax" if classes > 1 else "Sigmoid", [last], ["p"], **several))
        last = "p"
    if ends == "labels":
        nodes.append(helper.make_node("ArgMax", [last], ["index"], axis=1, keepdims=1))
        last, out, shape = "index", TensorProto.INT64, (batch, 1, *inner)
    elif layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [last], ["last"], perm=[0, 2, 3, 1]))
        last, shape = "last", (batch, *inner, classes)
    nodes[-1].output[0] = answer
    size = (batch, 3, *SIZE) if layout == "NCHW" else (batch, *SIZE, 3)
    graph = helper.make_graph(nodes, "g", [value(given, type, size)], [value(answer, out, shape)], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    return model


def run(model: ModelProto, name: str, images: NDArray[Any]) -> NDArray[Any]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: NDArray[Any] = session.run(None, {name: images})[0]
    return found


def both(model: ModelProto, wanted: Input, given: Output) -> tuple[NDArray[Any], NDArray[Any], ModelProto]:
    """Labels of the wrapped file, those of the file between numpy and numpy, and the wrapped file."""
    image, answer = input_of(model, Path("f")), output_of(model, given.name, Path("f"))
    plain = run(model, image.name, prepared(IMAGES, wanted, image.dtype))
    whole = wrapped(model, image, Tensor(answer.name, plain.shape, answer.type), wanted, given, SIZE)
    assert keeps_contract(whole)
    return run(whole, "image", IMAGES), label_maps(plain, given, SIZE), whole


CASES: dict[str, tuple[dict[str, Any], Input, Output]] = {
    "plain": ({}, Input(range=255), Output()),
    "normalised": ({}, Input(**NORMAL), Output()),
    "blue first": ({}, Input(colour="BGR", **NORMAL), Output()),
    "channels last": ({"layout": "NHWC"}, Input("NHWC", "BGR", 1, **NORMAL), Output(layout="NHWC")),
    "bilinear": ({"stride": 2}, Input(**NORMAL), Output()),
    "bilinear of opset 11": ({"stride": 2, "opset": 11}, Input(**NORMAL), Output()),
    "aligned": ({"stride": 4, "opset": 13}, Input(**NORMAL), Output(resize="bilinear-aligned")),
    "nearest, channels last": (
        {"stride": 4, "layout": "NHWC"},
        Input("NHWC", **NORMAL),
        Output(layout="NHWC", resize="nearest"),
    ),
    "probabilities": ({"ends": "probabilities", "stride": 2}, Input(), Output("probabilities")),
    "one logit": ({"classes": 1, "stride": 2}, Input(mean=(0.5,) * 3), Output()),
    "one probability": ({"classes": 1, "ends": "probabilities"}, Input(mean=(0.5,) * 3), Output("probabilities")),
    "labels": ({"ends": "labels"}, Input(), Output("labels")),
    "small labels": ({"ends": "labels", "stride": 2, "opset": 12}, Input(), Output("labels", classes=(3, 2, 1, 0))),
    "labels without a class": ({"ends": "labels"}, Input(), Output("labels", classes=(1, 0))),
    "labels without a class, opset 11": ({"ends": "labels", "opset": 11}, Input(), Output("labels", classes=(1, 0))),
    "half": ({"type": HALF}, Input(range=255, **NORMAL), Output(classes=(1, 0, 3, 2))),
    "bytes": ({"type": UINT8, "layout": "NHWC"}, Input("NHWC", "BGR", 200), Output(layout="NHWC")),
    "our own names": ({"names": ("image", "labels")}, Input(), Output()),
    "newest opset": ({"opset": 21, "stride": 2}, Input(), Output()),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrapped_file_gives_the_labels_of_the_file_run_plainly(case: str) -> None:
    options, wanted, given = CASES[case]
    whole, plain, _ = both(network(**options), wanted, given)
    assert whole.dtype == np.int32
    # Two ways to resize round otherwise, and then only where two scores are equal to the last digits.
    assert np.mean(whole == plain) >= (0.99 if options.get("stride") else 1)
    assert len(np.unique(plain)) > 1


def test_the_users_nodes_stay_as_they_are_and_the_logits_have_their_name() -> None:
    model = network()
    whole = both(model, Input(), Output())[2]
    own = [node.SerializeToString() for node in model.graph.node]
    assert [node for node in (each.SerializeToString() for each in whole.graph.node) if node in own] == own
    assert [each for each in whole.graph.initializer if each.name == "w"] == list(model.graph.initializer)
    assert whole.opset_import == model.opset_import and whole.ir_version == model.ir_version
    assert whole.graph.node[0].op_type == "Cast" and whole.graph.node[0].input == ["image"]
    assert GraphSegmenter(whole).batch == 2, "an attack can be made on it"


def test_open_sizes_are_fixed_by_the_images() -> None:
    model = network(batch="n")
    model.graph.value_info.append(value("scores", FLOAT, ("n", CLASSES, *SIZE)))
    fixed = with_shape(model, (2, 3, *SIZE))
    assert input_of(fixed, Path("f")).shape == (2, 3, *SIZE) and input_of(model, Path("f")).shape[0] == 0
    assert not fixed.graph.value_info
    whole, plain, _ = both(fixed, Input(), Output())
    assert np.array_equal(whole, plain)


def test_what_a_file_computes_with_is_told_by_its_operators() -> None:
    half, eight = network(), network()
    half.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.zeros((4, 3, 3, 3), np.float16), "w"))
    for zero, kind in ((np.int8(0), "int8"), (np.uint8(3), "uint8")):
        del eight.graph.initializer[1:]
        eight.graph.initializer.extend([numpy_helper.from_array(np.array(zero), "zero")])
        eight.graph.node.insert(0, helper.make_node("QuantizeLinear", ["x", "s", "zero"], ["q"]))
        assert (like(eight), has_unsigned_activations(eight)) == ("int8", kind == "uint8")
        del eight.graph.node[0]
    assert (like(network()), like(half), has_unsigned_activations(half)) == ("fp32", "fp16", False)
    eight.graph.node.insert(0, helper.make_node("QLinearConv", ["x"] * 8, ["q"]))
    assert like(eight) == "int8"


def saved(path: Path, model: ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def test_files_that_are_none_or_bring_code_are_refused(tmp_path: Path) -> None:
    whole = network().SerializeToString()
    for data in (b"text, no protobuf", whole[:-40], b"\x08\x08"):
        (tmp_path / "f.onnx").write_bytes(data)
        with pytest.raises(EngineError, match="not an ONNX file"):
            read_onnx(tmp_path / "f.onnx")
    with pytest.raises(EngineError, match="opset 10; 11 and later"):
        read_onnx(saved(tmp_path / "old.onnx", network(opset=10)))
    custom = network()
    inner = helper.make_graph([helper.make_node("Magic", ["x"], ["m"], "spell", domain="my.ops")], "i", [], [])
    custom.graph.node.append(helper.make_node("If", ["c"], ["m"], then_branch=inner, else_branch=inner))
    with pytest.raises(EngineError, match=r"my\.ops\.Magic \(spell\) is a custom operator"):
        read_onnx(saved(tmp_path / "custom.onnx", custom))
    loading = network()
    loading.graph.node.append(helper.make_node("EPContext", ["x"], ["m"], "blob", domain="com.microsoft"))
    with pytest.raises(EngineError, match="EPContext"):
        read_onnx(saved(tmp_path / "loading.onnx", loading))


def outside(location: str) -> ModelProto:
    model = network()
    tensor = model.graph.initializer[0]
    data = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    assert data
    return model


def test_data_beside_a_file_is_read_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    weights = RNG.normal(size=(CLASSES, 3, 3, 3)).astype(np.float32)
    for folder in (tmp_path, tmp_path / "in"):
        (folder / "w.bin").write_bytes(weights.tobytes())
    (tmp_path / "in" / "link.bin").symlink_to(tmp_path / "w.bin")
    read = read_onnx(saved(tmp_path / "in" / "f.onnx", outside("w.bin")))
    assert np.array_equal(numpy_helper.to_array(read.graph.initializer[0]), weights)
    with (tmp_path / "in" / "w.bin").open("r+b") as file:
        file.truncate(2 << 30)  # a hole, which takes no space
    with pytest.raises(EngineError, match="larger than 2 GiB"):
        read_onnx(tmp_path / "in" / "f.onnx")
    for location in ("../w.bin", str(tmp_path / "w.bin"), "link.bin"):
        with pytest.raises(EngineError, match="outside its folder"):
            read_onnx(saved(tmp_path / "in" / "f.onnx", outside(location)))
    with pytest.raises(EngineError, match=r"gone\.bin, the data of w, is missing"):
        read_onnx(saved(tmp_path / "in" / "f.onnx", outside("gone.bin")))


def test_inputs_and_outputs_that_are_not_one_image_and_one_answer_are_refused() -> None:
    two = network()
    two.graph.input.append(value("z", FLOAT, (1,)))
    with pytest.raises(EngineError, match=r"takes 2 inputs \(float32 x .*float32 z"):
        input_of(two, Path("f.onnx"))
    del two.graph.input[:]
    two.graph.input.append(value("x", TensorProto.INT64, (1, 3, 8, 8)))
    with pytest.raises(EngineError, match=r"takes int64 x \(1, 3, 8, 8\)"):
        input_of(two, Path("f.onnx"))
    several = network()
    several.graph.output.append(value("lanes", FLOAT, (2, 2, "h", "w")))
    with pytest.raises(EngineError, match=r"2 outputs: float32 y .*float32 lanes \(2, 2, \?, \?\)"):
        output_of(several, "", Path("f.onnx"))
    assert output_of(several, "lanes", Path("f.onnx")).shape == (2, 2, 0, 0)
    with pytest.raises(EngineError, match="no output 'lane'"):
        output_of(several, "lane", Path("f.onnx"))


def test_a_constant_that_stands_among_the_inputs_is_none_of_them() -> None:
    """As files of older exporters have it."""
    model = network()
    model.graph.input.append(value("w", FLOAT, (CLASSES, 3, 3, 3)))
    assert input_of(model, Path("f")).name == "x"
    whole, plain, wrap = both(model, Input(), Output())
    assert np.array_equal(whole, plain)
    onnx.checker.check_model(wrap)

"""Where pairs stand in a fused file: held to a walk over the float network that knows nothing of the placer."""

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from segeval.errors import EngineError
from segeval.files.images import RgbImage
from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.export import export_fp32, network_of
from segeval.graphs.mixed import to_int8_fp16
from segeval.graphs.placement import Placement, too_small
from segeval.graphs.qdq import check_qdq
from segeval.graphs.quantize import LARGEST_BIAS, to_int8
from segeval.models import Segmenter
from segeval.models.loading import build_network, load_spec

FUSED = CalibrationSpec("minmax", placement="fused")
NETWORKS = ("espnet-synthetic", "fast-scnn-synthetic", "espnetv2-cityscapes")
LEFT_OUT = {"espnet-synthetic": (19, 52), "fast-scnn-synthetic": (0, 45), "espnetv2-cityscapes": (30, 123)}
"""By the rule of ModelOpt 0.47, of how many convolutions."""


@pytest.fixture(scope="module")
def networks(exported: dict[str, ModelProto]) -> dict[str, ModelProto]:
    torch.manual_seed(0)
    spec = load_spec("espnetv2-cityscapes")
    return {**exported, "espnetv2-cityscapes": export_fp32(Segmenter(spec, build_network(spec, None).eval()), 64, 128)}


@pytest.fixture(scope="module")
def fused(networks: dict[str, ModelProto], pictures: list[RgbImage]) -> dict[str, ModelProto]:
    return {name: to_int8(networks[name], pictures[:2], FUSED) for name in NETWORKS}


@pytest.fixture
def broken(fused: dict[str, ModelProto]) -> ModelProto:
    """A copy to break."""
    copy = ModelProto()
    copy.CopyFrom(fused["espnet-synthetic"])
    return copy


def pairs(model: ModelProto) -> set[tuple[str, int]]:
    """Every input that comes through Q and DQ, as (what the operator gives, position)."""
    rounded = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    return {
        (node.output[0], position)
        for node in model.graph.node
        for position, name in enumerate(node.input)
        if name in rounded
    }


def expected(fp32: ModelProto) -> Iterator[tuple[str, int]]:
    """The same of a fused file, found from the float network by other means than the placer's."""
    nodes = list(network_of(fp32).graph.node)
    shapes = {tensor.name: list(tensor.dims) for tensor in network_of(fp32).graph.initializer}
    makers = {node.output[0]: node for node in nodes}
    readers = Counter(name for node in nodes for name in node.input)
    convolutions = {node.output[0] for node in nodes if node.op_type == "Conv" and gains(node, shapes[node.input[1]])}
    for name in convolutions:
        yield from ((name, 0), (name, 1))
    for node in nodes:
        joined = [name in convolutions and readers[name] == 1 for name in node.input]
        if node.op_type == "Add" and not any(name in shapes for name in node.input) and any(joined):
            both_first = all(joined) and longest(makers, node.input[0]) > longest(makers, node.input[1])
            yield node.output[0], 1 if both_first or joined == [True, False] else 0
        read = {reader.output[0] for reader in nodes if node.output[0] in reader.input}
        if node.op_type == "Concat" and (set(node.input) | read) & convolutions:
            yield from ((node.output[0], position) for position in range(len(node.input)))


def gains(node: NodeProto, shape: list[int]) -> bool:
    """ModelOpt's rule, in its own order of questions."""
    out, into, *kernel = shape
    group = next((a.i for a in node.attribute if a.name == "group"), 1)
    if out >= 16 and into >= 16:
        return True
    if group == 1 and (out % 8 == 0 or into % 8 == 0) and (out >= 16 or into >= 16) and len(set(kernel)) == 1:
        return True
    return group > 1 and out % 8 == 0 and all(side >= 3 for side in kernel)


def longest(makers: dict[str, NodeProto], name: str) -> int:
    """Operators on the longest way to a value."""
    known: dict[str, int] = {}
    open_values = [name]
    while open_values:
        value = open_values[-1]
        before = list(makers[value].input) if value in makers else []
        unknown = [each for each in before if each not in known]
        if unknown:
            open_values.extend(unknown)
            continue
        known[open_values.pop()] = 1 + max((known[each] for each in before), default=-1)
    return known[name]


@pytest.mark.parametrize("network", NETWORKS)
def test_pairs_stand_where_a_walk_over_the_float_network_wants_them(
    network: str, networks: dict[str, ModelProto], fused: dict[str, ModelProto]
) -> None:
    found = pairs(fused[network])
    assert found == set(expected(networks[network]))
    assert {node.op_type for node in fused[network].graph.node if (node.output[0], 0) in found} >= {"Conv", "Concat"}
    check_qdq(fused[network], FUSED)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_sum_takes_the_residual_through_a_pair_and_its_convolution_exactly(
    network: str, fused: dict[str, ModelProto]
) -> None:
    model = fused[network]
    makers = {node.output[0]: node for node in model.graph.node}
    kinds = Counter(
        tuple(sorted(makers[name].op_type for name in node.input))
        for node in model.graph.node
        if node.op_type == "Add" and any((node.output[0], position) in pairs(model) for position in (0, 1))
    )
    assert kinds.keys() == {("Conv", "DequantizeLinear")}
    assert kinds.total() > 3


@pytest.mark.parametrize("network", NETWORKS)
def test_what_is_joined_has_one_scale(network: str, fused: dict[str, ModelProto]) -> None:
    model = fused[network]
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    makers = {node.output[0]: node for node in model.graph.node}
    joined = [node for node in model.graph.node if node.op_type == "Concat" and (node.output[0], 0) in pairs(model)]
    assert joined
    for node in joined:
        rounding = [makers[name] for name in node.input]
        rounding += [
            each for each in model.graph.node if each.op_type == "QuantizeLinear" and node.output[0] in each.input
        ]
        assert len({constants[each.input[1]].item() for each in rounding}) == 1


@pytest.mark.parametrize("network", NETWORKS)
def test_what_is_too_small_is_counted_like_modelopt_and_recorded(network: str, networks: dict[str, ModelProto]) -> None:
    fp32 = network_of(networks[network])
    left_out = Placement(fp32, FUSED).left_out()
    assert (len(left_out), sum(node.op_type == "Conv" for node in fp32.graph.node)) == LEFT_OUT[network]
    assert Placement(fp32, CalibrationSpec()).left_out() == ()


@pytest.mark.parametrize(
    ("shape", "group", "small"),
    [
        ((16, 16, 3, 3), 1, False),
        ((12, 12, 3, 3), 1, True),
        ((16, 3, 3, 3), 1, False),
        ((8, 3, 3, 3), 1, True),
        ((20, 12, 3, 3), 1, True),
        ((24, 12, 1, 3), 1, True),
        ((12, 64, 3, 3), 1, False),
        ((12, 19, 3, 3), 1, True),
        ((64, 1, 3, 3), 64, False),
        ((10, 1, 3, 3), 10, True),
        ((64, 4, 1, 1), 16, True),
        ((64, 16, 1, 1), 4, False),
    ],
)
def test_small_is_written(shape: tuple[int, ...], group: int, small: bool) -> None:
    assert too_small(shape, group) == small


def maker(model: ModelProto, name: str) -> NodeProto:
    found: NodeProto = next(node for node in model.graph.node if name in node.output)
    return found


def residual_sum(model: ModelProto) -> tuple[NodeProto, int]:
    """A sum that takes its residual through a pair, and where."""
    found = pairs(model)
    return next(
        (node, at)
        for node in model.graph.node
        if node.op_type == "Add"
        for at in (0, 1)
        if (node.output[0], at) in found
    )


def add_pair(model: ModelProto, node: NodeProto, position: int, like: NodeProto) -> None:
    """Round an input of a node as another pair does. like: DequantizeLinear of that pair."""
    quantize = maker(model, like.input[0])
    value = node.input[position]
    made = [
        helper.make_node("QuantizeLinear", [value, *quantize.input[1:]], [f"{value}_more"], f"{value}_more"),
        helper.make_node("DequantizeLinear", [f"{value}_more", *like.input[1:]], [f"{value}_back"], f"{value}_back"),
    ]
    node.input[position] = f"{value}_back"
    at = list(model.graph.node).index(node)
    for each in reversed(made):
        model.graph.node.insert(at, each)


def exact_residual(model: ModelProto) -> None:
    node, at = residual_sum(model)
    node.input[at] = maker(model, maker(model, node.input[at]).input[0]).input[0]


def rounded_convolution_in_a_sum(model: ModelProto) -> None:
    node, at = residual_sum(model)
    add_pair(model, node, 1 - at, maker(model, node.input[at]))


def exact_part(model: ModelProto) -> None:
    node = next(n for n in model.graph.node if n.op_type == "Concat" and (n.output[0], 0) in pairs(model))
    node.input[0] = maker(model, maker(model, node.input[0]).input[0]).input[0]


def part_with_a_scale_of_its_own(model: ModelProto) -> None:
    node = next(n for n in model.graph.node if n.op_type == "Concat" and (n.output[0], 0) in pairs(model))
    dequantize = maker(model, node.input[0])
    quantize = maker(model, dequantize.input[0])
    model.graph.initializer.append(numpy_helper.from_array(np.array(0.5, np.float32), "other"))
    quantize.input[1] = dequantize.input[1] = "other"


def small_convolution(model: ModelProto) -> None:
    small = next(n for n in model.graph.node if n.op_type == "Conv" and (n.output[0], 0) not in pairs(model))
    _, at = residual_sum(model)
    node, _ = residual_sum(model)
    add_pair(model, small, 0, maker(model, node.input[at]))


def rounded_activation(model: ModelProto) -> None:
    node, at = residual_sum(model)
    add_pair(model, next(n for n in model.graph.node if n.op_type == "PRelu"), 0, maker(model, node.input[at]))


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (exact_residual, "activation must come through DequantizeLinear: a quantized Add"),
        (rounded_convolution_in_a_sum, "Add must not be quantized"),
        (exact_part, "activation must come through DequantizeLinear: a quantized Concat"),
        (part_with_a_scale_of_its_own, "scale of what it is joined with"),
        (small_convolution, "Conv must not be quantized"),
        (rounded_activation, "PRelu must not be quantized"),
    ],
)
def test_a_pair_in_a_wrong_place_or_none_in_the_right_one_is_found(
    broken: ModelProto, spoil: Callable[[ModelProto], None], rule: str
) -> None:
    check_qdq(broken, FUSED)
    spoil(broken)
    with pytest.raises(EngineError, match=rule):
        check_qdq(broken, FUSED)


def test_a_file_of_one_placement_is_refused_as_the_other(
    networks: dict[str, ModelProto], fused: dict[str, ModelProto], pictures: list[RgbImage]
) -> None:
    accurate = CalibrationSpec("minmax")
    with pytest.raises(EngineError, match="must"):
        check_qdq(fused["espnet-synthetic"], accurate)
    with pytest.raises(EngineError, match="must"):
        check_qdq(to_int8(networks["espnet-synthetic"], pictures[:1], accurate), FUSED)


def test_one_scale_for_weights_and_half_precision_go_with_it(
    networks: dict[str, ModelProto], pictures: list[RgbImage]
) -> None:
    spec = CalibrationSpec("minmax", placement="fused", per_channel=False)
    model = to_int8(networks["fast-scnn-synthetic"], pictures[:2], spec)
    check_qdq(model, spec)
    check_qdq(to_int8_fp16(model), spec, "int8-fp16")


def test_of_two_convolutions_the_further_one_is_joined_with_the_sum_in_whatever_order_they_are_written() -> None:
    def convolution(taken: str, given: str) -> NodeProto:
        return helper.make_node("Conv", [taken, "weights"], [given], given)

    far = [convolution("x", "a"), convolution("a", "b")]
    near = [convolution("x", "c")]
    weights = numpy_helper.from_array(np.ones((16, 16, 1, 1), np.float32), "weights")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 16, 8, 8]) for name in ("x", "sum")]
    for nodes in (far + near, near + far):
        for terms, residual in ((["b", "c"], 1), (["c", "b"], 0)):
            total = helper.make_node("Add", terms, ["sum"], "sum")
            graph = helper.make_graph([*nodes, total], "g", values[:1], values[1:], initializer=[weights])
            model = helper.make_model(graph)
            onnx.checker.check_model(model)
            assert Placement(model, FUSED).rounded(total) == [residual]


def test_a_dead_channel_leaves_room_for_its_bias(networks: dict[str, ModelProto], pictures: list[RgbImage]) -> None:
    fp32 = ModelProto()
    fp32.CopyFrom(networks["fast-scnn-synthetic"])
    node = next(n for n in fp32.graph.node if n.op_type == "Conv")
    for name, value in ((node.input[1], 1e-12), (node.input[2], 5)):
        tensor = next(each for each in fp32.graph.initializer if each.name == name)
        changed = numpy_helper.to_array(tensor).copy()
        changed[0] = value
        tensor.CopyFrom(numpy_helper.from_array(changed, name))
    model = to_int8(fp32, pictures[:2], FUSED)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    found = next(n for n in model.graph.node if n.name == node.name)
    steps = [constants[maker(model, name).input[1]] for name in found.input[:2]]
    needed = np.abs(constants[found.input[2]]) / (steps[0] * steps[1])
    assert needed.max() == pytest.approx(LARGEST_BIAS, rel=1e-5)

"""Blocks partition what is quantized, of every network there is and of others with arbitrary names."""

from typing import Any

import pytest
from onnx import ModelProto

from segeval.errors import EngineError
from segeval.graphs.blocks import MOST_BLOCKS, RUNS, blocks
from segeval.graphs.export import export_fp32, network_of
from segeval.models import Segmenter
from segeval.models.loading import build_network, load_spec
from segeval.registry import MODELS
from segeval_runner.strict import is_name

EVERY = ("Conv", "ConvTranspose", "Add")
KNOWN = {
    "espnet-synthetic": ["level1", "level2_0", "level2.0", "level2.1", "level3_0", "level3.0", "level3.1", "level3.2",
        "classifier", "level3_C", "combine_l2_l3", "conv"],
    "fast-scnn-synthetic": ["learning_to_downsample", "bottleneck1.0", "bottleneck1.1", "bottleneck1.2",
        "bottleneck2.0", "bottleneck2.1", "bottleneck2.2", "bottleneck3.0", "bottleneck3.1", "bottleneck3.2", "ppm",
        "feature_fusion", "classifier"],
}  # fmt: skip


def one_per_architecture() -> list[Any]:
    names = {load_spec(name).builder: name for name in MODELS}.values()
    return [pytest.param(name, marks=pytest.mark.long) if "dicenet" in name else name for name in names]


@pytest.fixture(scope="module", params=one_per_architecture())
def network(request: pytest.FixtureRequest) -> ModelProto:
    spec = load_spec(request.param)
    return export_fp32(Segmenter(spec, build_network(spec, None)), 64, 128)


def nodes(model: ModelProto, op_types: tuple[str, ...]) -> list[str]:
    return [node.name for node in network_of(model).graph.node if node.op_type in op_types]


@pytest.mark.parametrize("op_types", [("Conv",), EVERY])
def test_every_operator_of_every_network_is_in_one_block(network: ModelProto, op_types: tuple[str, ...]) -> None:
    found = blocks(network, op_types)
    expected = nodes(network, op_types)
    assert sorted(name for block in found.values() for name in block) == sorted(expected)
    assert 8 <= len(found) <= MOST_BLOCKS
    assert len({name.lower() for name in found}) == len(found)
    assert all(is_name(f"network.int8-without-{name}") for name in found)
    assert max(map(len, found.values())) * 8 <= len(expected)


@pytest.mark.parametrize("name", KNOWN)
def test_blocks_are_the_modules_that_the_papers_know(name: str, exported: dict[str, ModelProto]) -> None:
    assert list(blocks(exported[name], ("Conv",))) == KNOWN[name]


def renamed(model: ModelProto, names: list[str]) -> ModelProto:
    """A copy whose convolutions are called so, in order."""
    copy = ModelProto()
    copy.CopyFrom(model)
    own = set(nodes(model, ("Conv",)))
    left = iter(names)
    for node in copy.graph.node:
        if node.name in own:
            node.name = next(left)
    return copy


@pytest.fixture
def count(exported: dict[str, ModelProto]) -> int:
    return len(nodes(exported["espnet-synthetic"], ("Conv",)))


def test_without_modules_consecutive_operators_make_a_block(exported: dict[str, ModelProto], count: int) -> None:
    names = [f"Conv_{number}" for number in range(count)]
    found = blocks(renamed(exported["espnet-synthetic"], names), ("Conv",))
    assert len(found) == RUNS
    assert [name for block in found.values() for name in sorted(block, key=names.index)] == names
    assert list(found)[:2] == ["nodes-1-4", "nodes-5-9"]
    sizes = [len(block) for block in found.values()]
    assert max(sizes) - min(sizes) <= 1


def test_names_that_no_file_may_have_and_names_alike_become_safe_and_different(
    exported: dict[str, ModelProto], count: int
) -> None:
    modules = ["Größe: 1", "a b", "a*b", "A_b", "..", "x" * 300, "ok"]
    names = [f"/network/{modules[number % len(modules)]}/{number}" for number in range(count)]
    found = blocks(renamed(exported["espnet-synthetic"], names), ("Conv",))
    assert sorted(name for block in found.values() for name in block) == sorted(names)
    assert len({name.lower() for name in found}) == len(found)
    assert all(is_name(f"network.int8-only-{name}") for name in found)


@pytest.mark.parametrize("form", ["/network{}conv", "{}network/conv", "network/conv{}", "{}"])
def test_names_that_differ_in_slashes_alone_share_a_block(
    exported: dict[str, ModelProto], count: int, form: str
) -> None:
    names = [form.format("/" * (number + 1)) for number in range(count)]
    found = blocks(renamed(exported["espnet-synthetic"], names), ("Conv",))
    assert list(found.values()) == [frozenset(names)]
    assert all(is_name(f"network.int8-only-{name}") for name in found)


def test_operators_that_cannot_be_told_apart_are_refused(exported: dict[str, ModelProto], count: int) -> None:
    for names in (["same"] * count, [""] + [f"Conv_{number}" for number in range(1, count)]):
        with pytest.raises(EngineError, match="have the name") as caught:
            blocks(renamed(exported["espnet-synthetic"], names), ("Conv",))
        assert "--attribute" in caught.value.hint

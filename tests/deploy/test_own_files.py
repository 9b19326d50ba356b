"""What names a file of the user's and describes it is refused where it cannot be, before anything is done."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from segeval.deploy import deploy
from segeval.deploy.engine_cards import read_card
from segeval.deploy.own_files import OwnGiven, own_files, require_runs_engines
from segeval.errors import ConfigurationError
from segeval.files.sets import ModelRecord
from segeval.models.cards.card import EXAMPLE
from segeval.registry import TARGETS
from tests.graphs.conftest import NETWORKS

MakeSet = Callable[..., Path]
NETWORK = NETWORKS[0]
CARD = """
[input]
layout = "NCHW"
colour = "RGB"
range = 255
mean = [123.7, 116.3, 103.5]
std = [58.4, 57.1, 57.4]
[output]
kind = "logits"
"""


NAMES = [
    ("int8=f.onnx", "reads like an engine that segeval makes"),
    ("int8-mine=f.onnx", "reads like an engine that segeval makes"),
    ("own=f.onnx", "reads like an engine that segeval makes"),
    ("../x=f.onnx", "no network '.'"),
    ("a/b=f.onnx", "is not a valid engine name"),
    ("-x=f.onnx", "is not a valid engine name"),
    ("x\n=f.onnx", "is not a valid engine name"),
    ("f.onnx", "is not NAME=PATH"),
    ("mine=", "is not NAME=PATH"),
    ("espnet-syntetic.mine=f.onnx", "no network 'espnet-syntetic'"),
    ("mine=gone.onnx", "is not there"),
    ("mine=.", "is a folder"),
    ("mine=empty.onnx", "is empty"),
    ("mine=f.bin", "does not end like"),
    ("mine=f", "does not end like"),
    ("mine=f.engine", "target cpu has none"),
]


@pytest.mark.parametrize(("text", "said"), NAMES)
def test_an_option_that_cannot_be_is_refused_before_anything_is_done(
    make_set: MakeSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("f.onnx", "f.bin", "f", "f.engine"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(ConfigurationError) as caught:
        deploy(make_set(range(1), networks=(NETWORK,)), tmp_path / "out", engine_files=[text])
    assert said in caught.value.what
    assert not (tmp_path / "out").exists()


def test_of_several_networks_it_must_be_said_whose_file_it_is(make_set: MakeSet, tmp_path: Path) -> None:
    (tmp_path / "f.onnx").write_bytes(b"x")
    root = make_set(range(1))
    with pytest.raises(ConfigurationError, match="does not say whose") as caught:
        deploy(root, tmp_path / "b", engine_files=[f"mine={tmp_path / 'f.onnx'}"])
    assert f"{NETWORK}.mine=" in caught.value.hint
    for second in ("mine", "Mine", "MINE"):
        twice = [f"{NETWORK}.{name}={tmp_path / 'f.onnx'}" for name in ("mine", second)]
        with pytest.raises(ConfigurationError, match="another engine of this network"):
            deploy(root, tmp_path / "b", engine_files=twice)
    with pytest.raises(ConfigurationError, match="no --engine-file has that name"):
        deploy(root, tmp_path / "b", engine_cards=[f"{NETWORK}.mine={tmp_path / 'f.onnx'}"])


CARDS = [
    ("[input", "cannot be read as a card"),
    ("[input]\nrange = 1", r"\[output\] is missing"),
    ("colour = 1", "card.colour is not a key"),
    (("[input]", '[source]\nonnx = "f.onnx"\n[input]'), "the card of a network; an engine's card has only"),
    (("range = 255", "range = 255\nmultiple_of = 32"), "the card of a network; an engine's card has only"),
    (("layout", "layuot"), "input.layuot is not a key"),
    (("NCHW", "CHW"), "input.layout is 'CHW'"),
    (('layout = "NCHW"', ""), "input.layout is missing"),
    (("range = 255", ""), "input.range is missing"),
    (("range = 255", "range = nan"), "input.range holds nan"),
    (("range = 255", "range = true"), "input.range holds True"),
    (("range = 255", "range = 0"), "input.range must be above 0"),
    (("std = [", "std = [1.0, "), "input.std is .* not three numbers"),
    (("std = [", "std = [0.0, 1.0, 1.0] # ["), "input.std must be above 0"),
    (('kind = "logits"', 'kind = "softmax"'), "output.kind is 'softmax'"),
    (('kind = "logits"', 'kind = "logits"\nclasses = ["road", "rode"]'), "output.classes has 'rode'"),
    (('kind = "logits"', 'kind = "logits"\nclasses = ["road", "sky"]'), "names 2 different classes"),
]


@pytest.mark.parametrize(("change", "said"), CARDS)
def test_a_card_that_cannot_be_is_refused_by_file_and_key(
    make_set: MakeSet, tmp_path: Path, change: Any, said: str
) -> None:
    card = change if isinstance(change, str) else CARD.replace(*change)
    (tmp_path / "card.toml").write_text(card)
    (tmp_path / "f.onnx").write_bytes(b"x")
    options = {"engine_files": [f"mine={tmp_path / 'f.onnx'}"], "engine_cards": [f"mine={tmp_path}/card.toml"]}
    with pytest.raises(ConfigurationError, match=said) as caught:
        deploy(make_set(range(1), networks=(NETWORK,)), tmp_path / "b", **options)  # type: ignore[arg-type]
    assert "card.toml" in caught.value.what


def test_of_the_card_of_a_network_it_is_said_what_to_leave_out(tmp_path: Path) -> None:
    (tmp_path / "net.toml").write_text(EXAMPLE.replace("range = 1 ", "size = [2, 4]\nrange = 1 "))
    with pytest.raises(ConfigurationError, match=r"net\.toml is the card of a network") as caught:
        read_card(tmp_path / "net.toml", ("road",))
    assert (
        caught.value.hint
        == "leave out source, classes, input.size; if the network needs this file, in a copy for --engine-card"
    )


def test_a_file_is_another_if_the_data_beside_it_are(tmp_path: Path) -> None:
    weights = numpy_helper.from_array(np.zeros((8, 8), np.float32), "w")
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (8, 8)) for name in "xy"]
    model = helper.make_model(helper.make_graph([node], "g", values[:1], values[1:], [weights]))
    onnx.save(model, tmp_path / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=0)
    record = ModelRecord("net", "cityscapes", ("road",), "", "")

    def option() -> str:
        (given,) = own_files([f"mine={tmp_path / 'net.onnx'}"], [], [record])
        return given.option

    before = option()
    assert option() == before
    (tmp_path / "net.data").write_bytes(np.ones((8, 8), np.float32).tobytes())
    assert option() != before


def test_a_second_card_for_one_engine_is_refused(tmp_path: Path) -> None:
    record = ModelRecord("net", "cityscapes", ("road",), "", "")
    cards = []
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text(CARD)
        cards.append(f"mine={tmp_path / name}.toml")
    with pytest.raises(ConfigurationError, match="mine has another card already"):
        own_files([], cards, [record])


def test_a_built_engine_is_not_for_a_deep_learning_accelerator(tmp_path: Path) -> None:
    given = OwnGiven("net", "mine", tmp_path / "net.plan", "tensorrt", None, None, "")
    require_runs_engines(TARGETS.load("jetson"), [given], None)
    with pytest.raises(ConfigurationError, match="--dla with --engine-file"):
        require_runs_engines(TARGETS.load("jetson"), [given], 0)

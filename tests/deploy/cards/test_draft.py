"""What `segeval model init` reads off files of every kind, and that the card it writes gives the file's labels."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from torch import Tensor

from segeval.classes import CITYSCAPES, ClassTable
from segeval.deploy.cards import check_card, draft_card
from segeval.deploy.cards.check import Finding
from segeval.deploy.cards.trials import Labelled, resized
from segeval.errors import ConfigurationError, DataError, EngineError
from segeval.models import load_model
from segeval.models.cards import read_card
from segeval.models.soundness import predict
from tests.graphs.given.networks import (
    CASES,
    HEIGHT,
    NCHW,
    WIDTH,
    Ending,
    Small,
    export,
    image_of,
    large,
    plain_labels,
    same,
)


@pytest.mark.parametrize("name", CASES)
def test_what_a_file_says_stands_in_its_card(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    file = case.write(tmp_path / "net.onnx")
    draft = draft_card(file, tmp_path / "net.toml")
    found = read_card(tmp_path / "net.toml")
    (tmp_path / "wanted.toml").write_text(f'[source]\nonnx = "net.onnx"\n{case.card}\n')
    wanted = read_card(tmp_path / "wanted.toml")
    assert found.input.layout == wanted.input.layout
    assert (found.output.kind, found.output.layout) == (wanted.output.kind, wanted.output.layout)
    assert len(found.outputs) == len(wanted.outputs)
    assert found.extra == ()
    assert found.size == (None if "free sizes" in name else (HEIGHT, WIDTH))
    assert found.multiple_of == (32 if "free sizes" in name else 1)
    assert {"input.colour", "input.range", "input.mean", "input.std", "classes"} <= draft.unsure.keys()
    text = (tmp_path / "net.toml").read_text()
    assert text.count("# unsure") == len(draft.unsure)


def found(card: Path) -> Iterator[Finding]:
    """What the check of a card finds without images."""
    return check_card(load_model(str(card)), read_card(card), None, None)


@pytest.mark.parametrize(
    ("after", "channels", "layout", "unsure"),
    [
        (lambda y: large(y.softmax(1)), 5, "NCHW", False),
        (lambda y: large(y).softmax(1).permute(0, 2, 3, 1), 5, "NHWC", False),
        (lambda y: large(y.sigmoid()), 1, "NCHW", True),
    ],
)
def test_probabilities_that_something_follows_are_told_by_their_numbers(
    after: Callable[[Tensor], Tensor], channels: int, layout: str, unsure: bool, tmp_path: Path
) -> None:
    file = export(tmp_path / "net.onnx", Ending(Small(channels), same, after), NCHW)
    draft = draft_card(file, tmp_path / "net.toml")
    assert (draft.card.output.kind, draft.card.output.layout) == ("probabilities", layout)
    assert ("output.kind" in draft.unsure) == unsure
    text = (tmp_path / "net.toml").read_text()
    right = list(found(tmp_path / "net.toml"))
    assert not any(each.doubt for each in right)
    (tmp_path / "net.toml").write_text(text.replace('kind = "probabilities"', 'kind = "logits"'))
    wrong = found(tmp_path / "net.toml")
    if channels == 1:
        assert any(each.doubt and 'output.kind = "probabilities"' in each.text for each in wrong)
    else:
        with pytest.raises(ConfigurationError, match="sum to 1") as caught:
            list(wrong)
        assert 'output.kind = "probabilities"' in caught.value.hint


def test_classes_of_the_users_are_those_of_the_card(tmp_path: Path) -> None:
    german = ("Auto", "Himmel", "Mast", "Bus", "Strasse")
    canonical = ("car", "sky", "pole", "bus", "road")
    palette = tuple((number, 0, 255 - number) for number in range(5))
    mine = ClassTable("net", german, palette, canonical)
    fewer = ClassTable("net", german[:4], palette[:4], canonical[:4])
    shouted = ClassTable("net", tuple(map(str.upper, CITYSCAPES.names)), CITYSCAPES.palette, CITYSCAPES.canonical)
    for table, channels, extra in ((mine, 5, ()), (fewer, 5, ("background",)), (shouted, 19, ())):
        file = export(tmp_path / "net.onnx", Ending(Small(channels), same, large), NCHW)
        draft_card(file, tmp_path / "net.toml", table)
        card = read_card(tmp_path / "net.toml")
        assert card.table == table and card.extra == extra
        (tmp_path / "net.toml").unlink()
    draft_card(file, tmp_path / "net.toml", replace(CITYSCAPES, name="folder"))
    assert 'table = "cityscapes"' in (tmp_path / "net.toml").read_text()


def test_names_that_no_card_can_hold_leave_none(tmp_path: Path) -> None:
    several = Ending(Small(5), same, lambda y: (y.mean((2, 3)), y))
    file = export(tmp_path / "net.onnx", several, NCHW, output_names=["scene", "map\nextra = 1"])
    with pytest.raises(ConfigurationError, match=r"output\.name is 'map"):
        draft_card(file, tmp_path / "net.toml")
    with pytest.raises(ConfigurationError, match="name is ''"):
        draft_card(CASES["plain"].write(file), tmp_path / "\u00fc.toml")
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
    export(file, several, NCHW, output_names=["scene\nextra = 1", "map"])
    draft_card(file, tmp_path / "net.toml")
    assert r"scene\U0000000aextra = 1, map" in (tmp_path / "net.toml").read_text()


@pytest.mark.parametrize("name", ["channels last, probabilities, resized by the nearest", "binary, a sigmoid"])
def test_a_labelled_image_tells_the_normalization(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    file = case.write(tmp_path / "net.onnx")
    labelled = []
    for seed in range(2):
        labels = plain_labels(case, file, image_of(seed)).astype(np.uint8)
        labelled.append(
            Labelled(image_of(seed), labels * 255 if "binary" in name else labels)
        )  # as many tools save them
    draft = draft_card(file, tmp_path / "net.toml", labelled=labelled)
    (tmp_path / "wanted.toml").write_text(f'[source]\nonnx = "net.onnx"\n{case.card}\n')
    assert draft.card.input == read_card(tmp_path / "wanted.toml").input
    labels = predict(load_model(str(tmp_path / "net.toml")), image_of(0))
    assert (labels == plain_labels(case, file, image_of(0))).mean() > 0.8  # of another resize, if the file is smaller


def test_the_largest_of_several_outputs_is_taken_and_said(tmp_path: Path) -> None:
    file = export(
        tmp_path / "net.onnx",
        Ending(Small(5), same, lambda y: (y.mean((2, 3)), y)),
        NCHW,
        output_names=["scene", "map"],
    )
    draft = draft_card(file, tmp_path / "net.toml")
    assert draft.card.output.name == "map" and "scene, map" in draft.unsure["output.name"]


def test_labels_beyond_the_classes_are_named(tmp_path: Path) -> None:
    file = CASES["plain"].write(tmp_path / "net.onnx")
    with pytest.raises(DataError, match="the mask holds 7, the network has 5 classes"):
        draft_card(file, tmp_path / "net.toml", labelled=[Labelled(image_of(0), np.full((HEIGHT, WIDTH), 7, np.uint8))])
    assert not (tmp_path / "net.toml").exists()


def test_a_file_that_is_no_network_leaves_no_card(tmp_path: Path) -> None:
    file = CASES["plain"].write(tmp_path / "net.onnx")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EngineError):
        draft_card(file, tmp_path / "net.toml")
    file.write_bytes(whole)
    model = onnx.load(file)
    onnx.save(model, file, save_as_external_data=True, location="net.data", size_threshold=0)
    (tmp_path / "net.data").unlink()
    with pytest.raises(EngineError, match=r"net\.data"):
        draft_card(file, tmp_path / "net.toml")
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


def test_a_card_finds_its_file_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "cards").mkdir()
    CASES["plain"].write(tmp_path / "nets/net.onnx")
    monkeypatch.chdir(tmp_path)
    draft_card(Path("nets/net.onnx"), Path("cards/net.toml"))
    shutil.move(tmp_path / "cards", tmp_path / "renamed")
    monkeypatch.chdir(tmp_path / "nets")
    assert load_model(str(Path("../renamed/net.toml"))).spec.name == "net"


@pytest.mark.parametrize("smooth", [True, False])
def test_pytorch_has_nothing_to_warn_of_in_a_resized_image(smooth: bool) -> None:
    assert resized(np.zeros((8, 8, 3), np.uint8), (4, 6), smooth).flags.writeable

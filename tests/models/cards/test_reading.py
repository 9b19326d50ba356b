"""Model cards are read strictly: what is wrong is named with the file and the key."""

from pathlib import Path

import pytest

from segeval.classes import CITYSCAPES
from segeval.errors import ConfigurationError
from segeval.models.cards import EXAMPLE, read_card

WHOLE = """
name = "mine"
[source]
onnx = "deep/net.onnx"
[input]
layout = "NHWC"
colour = "BGR"
range = 255
mean = [1, 2, 3]
std = [4, 5, 6]
size = [128, 256]
[output]
name = "logits:0"
kind = "probabilities"
layout = "NCHW"
resize = "nearest"
[classes]
names = ["Strasse", "Mensch"]
colours = ["#102030", "#0405ff"]
canonical = ["road", "person"]
extra = ["nothing"]
[about]
licence = "MIT"
reported = { mIoU = 0.5 }
"""


def read(folder: Path, text: str) -> object:
    (folder / "net.toml").write_text(text)
    return read_card(folder / "net.toml")


def test_a_card_says_what_a_registered_network_says(tmp_path: Path) -> None:
    (tmp_path / "net.toml").write_text(WHOLE)
    card = read_card(tmp_path / "net.toml")
    spec = card.spec
    assert (spec.name, spec.outputs, spec.table.names) == (
        "mine",
        ("Strasse", "Mensch", "nothing"),
        ("Strasse", "Mensch"),
    )
    assert spec.table.palette == ((16, 32, 48), (4, 5, 255)) and spec.table.canonical == ("road", "person")
    # Of the file's order, blue first; a registered network says it in RGB.
    assert (spec.preprocessing.mean, spec.preprocessing.std, spec.preprocessing.bgr) == ((3, 2, 1), (6, 5, 4), True)
    assert spec.only_size and spec.size == (128, 256)
    assert card.source.codes == () and card.beside(card.source.named) == tmp_path / "deep/net.onnx"
    assert spec.reported == {"mIoU": 0.5} and spec.licence == "MIT"


def test_the_example_of_messages_is_a_card(tmp_path: Path) -> None:
    (tmp_path / "my net.toml").write_text(EXAMPLE)
    card = read_card(tmp_path / "my net.toml")
    assert card.name == "my-net" and card.table == CITYSCAPES
    assert card.spec.preprocessing.mean == pytest.approx((123.675, 116.28, 103.53))


@pytest.mark.parametrize(
    ("old", "new", "what", "hint"),
    [
        ("layout", "layuot", "input.layuot is not a key", "did you mean layout?"),
        ("[about]", "[abuot]", "abuot is not a key", "did you mean about?"),
        ('"NHWC"', '"HWC"', "input.layout is 'HWC'", "did you mean NHWC"),
        ("range = 255", "", "input.range is missing", "255 if levels"),
        ("range = 255", "range = -1", "input.range must be above 0", "the value of white"),
        ("range = 255", 'range = "1"', "input.range holds '1'", ""),
        ("range = 255", "range = inf", "input.range holds inf", ""),
        ("[4, 5, 6]", "[4, 0, 6]", "input.std must be above 0", ""),
        ("[4, 5, 6]", "[0.2, 0.2, 0.2]", "input.std (0.2, 0.2, 0.2) do not fit input.range 255", "in units of range"),
        ("[1, 2, 3]", "[1, 2]", "input.mean is [1, 2]", ""),
        ("[128, 256]", "[128.0, 256]", "input.size holds 128.0", ""),
        ("[128, 256]", "128", "input.size is 128", "[height, width]"),
        ('"probabilities"', '"logit"', "output.kind is 'logit'", "did you mean logits?"),
        ('onnx = "deep/net.onnx"', "", "[source] names no network", "onnx"),
        ('onnx = "deep/net.onnx"', 'onnx = "a"\ntorchscript = "b"', "names onnx, torchscript", ""),
        ('onnx = "deep/net.onnx"', 'onnx = "a"\nweights = "b"', "source.weights belongs to a factory", ""),
        ('onnx = "deep/net.onnx"', 'factory = "mynet"', "names no function", "package.module:function"),
        ('["Strasse", "Mensch"]', '["Strasse", "strasse"]', "has 'Strasse' more than once", ""),
        ('["road", "person"]', '["road"]', "classes.canonical has 1 entries", "one for each class"),
        ('"#0405ff"', '"blue"', "classes.colours has 'blue'", "#rrggbb"),
        ("[classes]", '[classes]\ntable = "cityscapes"', "only one of them", "cityscapes"),
        ('name = "mine"', 'name = "../mine"', "name is '../mine'", "letters"),
        ("mIoU = 0.5", 'mIoU = "good"', "about.reported.mIoU holds 'good'", ""),
        ("[source]", "[source", "cannot be read as a card", "[input]"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, what: str, hint: str) -> None:
    assert old in WHOLE
    with pytest.raises(ConfigurationError) as caught:
        (tmp_path / "net.toml").write_text(WHOLE.replace(old, new, 1))
        assert read_card(tmp_path / "net.toml").spec
    assert what in caught.value.what and hint in caught.value.hint
    assert str(tmp_path / "net.toml") in caught.value.what


@pytest.mark.parametrize("source", ['factory = "a:b"', 'torchscript = "a"', 'exported = "a"'])
def test_labels_belong_to_an_onnx_file(source: str, tmp_path: Path) -> None:
    text = WHOLE.replace('"probabilities"', '"labels"')
    read(tmp_path, text)
    with pytest.raises(ConfigurationError, match=r'output\.kind is "labels", which belongs to an ONNX file') as caught:
        read(tmp_path, text.replace('onnx = "deep/net.onnx"', source))
    assert "logits" in caught.value.hint


def test_a_card_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no model card") as caught:
        read_card(tmp_path / "net.toml")
    assert "segeval model init" in caught.value.hint
    (tmp_path / "net.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_card(tmp_path / "net.toml")

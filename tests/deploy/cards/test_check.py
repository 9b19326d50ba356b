"""A card that is wrong in what no answer shows by itself: labels of the user's images do."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segeval.datasets import open_dataset
from segeval.deploy.cards import check_card
from segeval.models import load_model
from segeval.models.cards import read_card
from tests.graphs.given.networks import CASES, image_of, plain_labels, write_card

CASE = CASES["quarter, free sizes, blue first"]
RIGHT = "bilinear-aligned"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A card, and images with the labels that its file gives when its answer is enlarged as its author does."""
    write_card(tmp_path, CASE)
    for seed in range(2):
        labels = plain_labels(CASE, tmp_path / "net.onnx", image_of(seed)).astype(np.uint8)
        for kind, pixels in (("images", image_of(seed)), ("masks", labels)):
            (tmp_path / kind).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / kind / f"{seed}.png")
    (tmp_path / "classes.txt").write_text("road\ncar\nsky\npole\nbus\n")
    return tmp_path


def doubts(folder: Path) -> list[str]:
    card = folder / "net.toml"
    data = open_dataset("folder", folder)
    return [each.text for each in check_card(load_model(str(card)), read_card(card), data, None) if each.doubt]


@pytest.mark.parametrize("way", ["nearest", "bilinear", RIGHT])
def test_an_answer_that_is_enlarged_in_another_way_than_the_labels_show(folder: Path, way: str) -> None:
    card = folder / "net.toml"
    card.write_text(card.read_text().replace(f'"{RIGHT}"', f'"{way}"'))
    said = [text for text in doubts(folder) if "output.resize" in text]
    assert len(said) == (way != RIGHT)
    assert not said or f'output.resize = "{RIGHT}": 100.0 %' in said[0]


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("", "", ""),
        ('"BGR"', '"RGB"', 'with colour = "BGR" it would be 100.0 %: check input.colour'),
        ("mean = [104, 117, 123]", "mean = [0, 0, 0]\nstd = [58, 57, 57]", "check input.mean, input.std"),
    ],
)
def test_another_input_that_fits_the_labels_clearly_better(folder: Path, right: str, wrong: str, said: str) -> None:
    card = folder / "net.toml"
    assert right in card.read_text()
    card.write_text(card.read_text().replace(right, wrong))
    found = [text for text in doubts(folder) if "it would be" in text]
    assert len(found) == bool(said) and all(said in text for text in found)
    assert not said or any(text.startswith("clean mIoU on 2 images") for text in doubts(folder) if text not in found)

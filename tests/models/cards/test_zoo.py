"""The cards of benchmarks/zoo, which `make check-zoo` takes through the whole chain; one is tried here."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from benchmarks.zoo.exported import EXPORTS
from segeval.deploy.cards import check_card
from segeval.models.cards import load_card, read_card

CARDS = sorted((Path(__file__).parents[3] / "benchmarks/zoo/cards").glob("*.toml"))
LIBRARIES = ("torchvision.", "transformers:", "segmentation_models_pytorch:", "timm:")


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_a_card_says_where_its_network_comes_from(path: Path) -> None:
    card = read_card(path)
    assert card.name == path.stem
    assert card.published.startswith("https://") and card.licence and card.paper.startswith("https://")
    assert all(0 < figure < 1 for figure in card.reported.values())
    assert card.reported or "none" in card.published  # without published weights of the whole there is no figure
    if card.source.kind == "onnx":
        assert card.source.named in EXPORTS
    else:
        assert card.source.kind == "factory" and not card.source.weights
        assert all(code.startswith(LIBRARIES) for code in card.source.codes)


def test_there_are_networks_of_every_library_and_every_exported_file_has_a_card() -> None:
    sources = [read_card(path).source for path in CARDS]
    assert all(any(source.named.startswith(library) for source in sources) for library in LIBRARIES)
    assert {source.named for source in sources if source.kind == "onnx"} == EXPORTS.keys()


def test_segformer_of_transformers_is_checked() -> None:
    if find_spec("transformers") is None:
        pytest.skip("the libraries of the zoo are not installed: pip install '.[zoo]'")
    (path,) = (path for path in CARDS if path.stem == "transformers-segformer-b0")
    card, segmenter = read_card(path), load_card(str(path))
    (said,) = segmenter.said
    assert "names no weights" in said and "huggingface.co/nvidia/segformer-b0" in said
    with torch.random.fork_rng():
        findings = list(check_card(segmenter, card, None, (64, 64)))
    assert not [finding.text for finding in findings if finding.doubt]

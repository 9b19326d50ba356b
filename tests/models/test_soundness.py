"""What a network may answer: finite logits of a usual size. The right value is that of the network left as it is."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segeval.classes import CAMVID
from segeval.errors import ConfigurationError, EngineError
from segeval.metrics import ConfusionMatrix
from segeval.models import Preprocessing, Segmenter, load_model
from segeval.models.loading import load_spec
from segeval.models.soundness import answer, predict, require_logits_of, scale_of, worse_than_none

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)


class Wrapped(nn.Module):
    """A network whose answers are changed."""

    def __init__(self, network: nn.Module, change: Any) -> None:
        super().__init__()
        self.network = network
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.change(self.network(x))
        return changed


def changed(change: Any) -> Segmenter:
    model = load_model("espnet-synthetic")
    return Segmenter(model.spec, Wrapped(model.network, change))


@pytest.mark.parametrize(("value", "word"), [(float("nan"), "NaN"), (float("inf"), "infinity")])
def test_answers_that_are_not_finite_are_refused(value: float, word: str) -> None:
    def one_pixel(logits: Tensor) -> Tensor:
        logits[0, 3, 5, 7] = value
        return logits

    model = changed(one_pixel)
    for ask in (predict, answer):
        with pytest.raises(EngineError, match=f"espnet-synthetic answers with {word} to image x"):
            ask(model, IMAGE, "image x")


def test_probabilities_are_no_logits() -> None:
    soft = changed(lambda logits: logits.softmax(1))
    with pytest.raises(ConfigurationError, match="returns probabilities"):
        require_logits_of(soft, answer(soft, IMAGE, "x"))
    for change in (lambda logits: logits, lambda logits: logits.log_softmax(1), lambda logits: logits.sigmoid()):
        model = changed(change)
        require_logits_of(model, answer(model, IMAGE, "x"))


@pytest.mark.parametrize("power", range(-8, 9))
def test_any_scale_of_the_logits_becomes_the_usual_one(power: int) -> None:
    logits = answer(load_model("espnet-synthetic"), IMAGE, "x").double()
    assert scale_of(logits) == 1
    scaled = logits * 10.0**power
    lead = float((lambda top: top[:, 0] - top[:, 1])((scaled * scale_of(scaled)).topk(2, 1).values).median())
    assert 0.5 <= lead <= 500
    if power < -1 or power > 2:
        assert scale_of(scaled) == pytest.approx(10.0**-power)


def test_equal_logits_are_left_alone() -> None:
    assert scale_of(torch.zeros(1, 5, 2, 2)) == 1


def test_a_scaled_network_gives_scaled_logits_and_the_same_labels() -> None:
    model = load_model("espnet-synthetic")
    images = torch.from_numpy(IMAGE).permute(2, 0, 1)[None] / 255
    before, labels = model(images), predict(model, IMAGE)
    model.record = replace(model.record, logit_scale=100.0)
    torch.testing.assert_close(model(images), before * 100)
    np.testing.assert_array_equal(predict(model, IMAGE), labels)


def test_a_network_that_sees_less_than_no_network_is_named() -> None:
    truth = np.array([[0, 0, 0, 1]], np.uint8)
    matrix = ConfusionMatrix(len(CAMVID))
    matrix.update(truth, np.array([[1, 1, 0, 1]], np.uint8))
    assert worse_than_none("net", matrix, CAMVID).startswith(
        "net gets 50.0 % of the pixels right, 'Sky' everywhere would get 75.0 %"
    )
    matrix.update(truth, truth)
    assert worse_than_none("net", matrix, CAMVID) == ""
    assert worse_than_none("net", ConfusionMatrix(len(CAMVID)), CAMVID) == ""


@pytest.mark.parametrize(
    ("mean", "std"),
    [((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), ((0.0, 0.0, 0.0), (0.5, 0.5, 0.5)), ((0.5,) * 3, (1.0,) * 3)],
)
def test_mean_and_std_for_images_in_0_to_1_are_refused(mean: Any, std: Any) -> None:
    with pytest.raises(ConfigurationError, match="not in 0-255 levels"):
        Preprocessing(mean, std)


def test_raw_levels_need_no_normalization() -> None:
    given: Mapping[str, Any] = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    assert replace(load_spec("espnet-synthetic").preprocessing, **given).std == (1.0, 1.0, 1.0)

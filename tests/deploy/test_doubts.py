"""Other descriptions of a user's file, and what is made of their labels."""

import numpy as np
import pytest

from segeval.deploy.doubts import doubt, other_descriptions
from segeval.deploy.parity import Reference
from segeval.errors import EngineError
from segeval.files.images import RgbImage
from segeval.metrics import Labels
from segeval_runner.described import Input

LABELS = np.arange(60, dtype=np.uint8).reshape(6, 10) % 3
REFERENCES = [Reference(np.zeros((6, 10, 3), np.uint8), LABELS, None)]


def right(image: RgbImage) -> Labels:
    return LABELS


def unrelated(image: RgbImage) -> Labels:
    return np.zeros_like(LABELS)


def refused(image: RgbImage) -> Labels:
    raise EngineError("labels that the network does not have")


def test_nothing_speaks_against_the_labels_of_the_network() -> None:
    assert doubt(right, {"another": unrelated, "no other": refused}, REFERENCES, 3) == ""


def test_a_description_that_fits_better_is_named() -> None:
    assert doubt(unrelated, {"no other": refused, "another": right}, REFERENCES, 3).endswith("100.0 % with another")


def test_labels_that_agree_by_chance_alone_are_doubted() -> None:
    said = doubt(unrelated, {}, REFERENCES, 3)
    assert said == "its labels match the network's on only 33.3 % of the pixels; 33.3 % would match by chance"


@pytest.mark.parametrize("colour", ["RGB", "BGR"])
def test_imagenets_normalization_is_tried_in_the_files_own_order(colour: str) -> None:
    described = Input("NCHW", "RGB" if colour == "RGB" else "BGR", 255.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    red, _, blue = other_descriptions(described)["ImageNet's mean and std"].mean[:: 1 if colour == "RGB" else -1]
    assert (red, blue) == pytest.approx((123.675, 103.53))

import numpy as np
import pytest
from onnx import ModelProto

from segeval.deploy.parity import Reference, evenly, measure_parity
from segeval.files.images import RgbImage
from segeval.graphs.session import DeployedModel
from tests.rounding import settle


def test_parity_counts_pixels_and_scores_both_against_the_truth(
    exported: dict[str, ModelProto], pictures: list[RgbImage]
) -> None:
    model = exported["espnet-synthetic"]
    own = DeployedModel(model).predict(pictures[0])
    other = own.copy()
    other[:16] = (other[:16] + 1) % 19  # a quarter of the pixels
    parity = measure_parity(model, [Reference(pictures[0], other, own)], 19, unoptimised=True)
    assert (parity.images, parity.equal, parity.miou) == (1, 0.75, 1.0)
    assert parity.unoptimised_equal is not None
    assert parity.unoptimised_equal >= settle(model, pictures[0], "fp32").share
    assert parity.torch_miou is not None
    assert parity.miou_difference == pytest.approx(1 - parity.torch_miou)
    assert 0 < parity.torch_miou < 1


def test_without_ground_truth_there_is_no_miou(exported: dict[str, ModelProto], pictures: list[RgbImage]) -> None:
    own = DeployedModel(exported["espnet-synthetic"]).predict(pictures[0])
    parity = measure_parity(exported["espnet-synthetic"], [Reference(pictures[0], own, None)], 19, unoptimised=False)
    assert (parity.equal, parity.miou, parity.torch_miou, parity.miou_difference) == (1.0, None, None, None)
    assert parity.unoptimised_equal is None


@pytest.mark.parametrize(("count", "limit", "expected"), [(3, 20, [0, 1, 2]), (10, 4, [0, 2, 5, 7]), (1, 1, [0])])
def test_images_are_spread_over_the_set(count: int, limit: int, expected: list[int]) -> None:
    assert list(evenly(count, limit)) == expected
    assert np.all(np.diff(expected) > 0)

"""The gradient of an int8 file hides nothing that an attack could find; one that does is noticed."""

import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from torch import Tensor, nn

from segeval.models import Segmenter, load_model

if TYPE_CHECKING:
    from tests.graphs.conftest import Trained

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "masking.py"
STEPS, RESTARTS = 16, 1


@pytest.fixture(scope="module")
def masking() -> Mapping[str, Any]:
    return runpy.run_path(str(BENCHMARK))


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return load_model("fast-scnn-synthetic")


@pytest.fixture(scope="module")
def file(masking: Mapping[str, Any], segmenter: Segmenter, trained: "Trained") -> Any:
    return masking["int8_of"](segmenter, trained.calibration)


class Masked(nn.Module):
    """The same logits without their gradient, as PyTorch's own rounding would leave it."""

    def __init__(self, file: Any) -> None:
        super().__init__()
        self.file, self.spec = file, file.spec

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.file(images.detach()) + 0 * images.sum()
        return logits


def rows(masking: Mapping[str, Any], segmenter: Segmenter, network: Any, trained: "Trained") -> Any:
    problems = masking["problems_of"](segmenter, network, trained.scenes[:1], STEPS)
    return masking["measured"](problems, STEPS, RESTARTS)


@pytest.mark.long
def test_the_gradient_of_an_int8_file_masks_nothing(
    masking: Mapping[str, Any], segmenter: Segmenter, file: Any, trained: "Trained"
) -> None:
    found = rows(masking, segmenter, file, trained)
    assert masking["found_signs"](found) == []
    assert found["steps"][-1].best > 0.2 > 2 * found["search"][-1].best


@pytest.mark.long
def test_a_gradient_that_masks_is_noticed(
    masking: Mapping[str, Any], segmenter: Segmenter, file: Any, trained: "Trained"
) -> None:
    signs = masking["found_signs"](rows(masking, segmenter, Masked(file), trained))
    assert "the loss does not fall from step to step" in signs
    assert "a random search finds as much" in signs and "an attack without a bound fails" in signs

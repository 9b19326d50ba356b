from collections.abc import Callable

import pytest
import torch

from segeval.models import Segmenter
from tests.random_networks import random_network

Random = Callable[[str], Segmenter]


@pytest.fixture(scope="session")
def random_model() -> Random:
    """A registered network with random weights; its batch statistics fit random images, so that pixels differ."""

    def make(name: str) -> Segmenter:
        images = torch.rand(2, 3, 64, 128, generator=torch.Generator().manual_seed(0))
        return random_network(name, images, seed=0)

    return make

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from segeval.models import Segmenter
from segeval.models.loading import build_network, load_spec

Random = Callable[[str], Segmenter]


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks and images this small only lose by being divided."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def random_model() -> Random:
    """A registered network with random weights; its batch statistics fit random images, so that pixels differ."""

    def make(name: str) -> Segmenter:
        torch.manual_seed(0)
        spec = load_spec(name)
        segmenter = Segmenter(spec, build_network(spec, None))
        for module in segmenter.network.train().modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None  # the plain mean: one pass is enough
        with torch.no_grad():
            segmenter(torch.rand(2, 3, 64, 128))
        segmenter.eval()
        return segmenter

    return make

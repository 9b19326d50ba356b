"""Corruptions with a gradient against the real ones: libjpeg, Pillow and SciPy."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from segeval.corruptions import KINDS, parse_corruption
from segeval.generate.attacks.corruption_gradients import FORMS, Behind, corrupted

HEIGHT, WIDTH = 61, 90  # no multiples of a block


def scene() -> NDArray[np.uint8]:
    """Smooth surfaces with edges and some noise."""
    rng = np.random.default_rng(0)
    down, across = np.mgrid[:HEIGHT, :WIDTH]
    smooth = np.stack([120 + 60 * np.sin(down / 9), 100 + across, 90 + 40 * np.cos(across / 11)], -1)
    smooth[20:40, 30:60] += 50
    return np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)


def as_tensor(image: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].double()


def test_there_is_a_form_for_every_kind() -> None:
    assert FORMS.keys() == KINDS.keys()


@pytest.mark.parametrize(
    ("spec", "mean", "largest"),
    [
        ("jpeg:95", 0.65, 6),
        ("jpeg:75", 0.4, 6),
        ("jpeg:30", 0.4, 9),
        ("resize:0.5", 0.3, 2),
        ("resize:0.73", 0.3, 2),
        ("gamma:2.2", 0, 0),
        ("gamma:0.5", 0, 0),
        ("blur:1.5", 0.01, 1),
        ("bits:4", 0, 0),
    ],
)
def test_it_gives_what_the_real_one_gives(spec: str, mean: float, largest: float) -> None:
    """Up to the rounding of libjpeg's integer transforms, of Pillow between its two passes, and of halves.

    The corruptions themselves change this image by 3 levels and more on average.
    """
    image, corruption = scene(), parse_corruption(spec)
    real = as_tensor(corruption.apply(image))
    found = corrupted(as_tensor(image), corruption)
    assert torch.equal(found, found.round())
    difference = (found - real).abs()
    assert float(difference.mean()) <= mean
    assert float(difference.max()) <= largest


@pytest.mark.parametrize("spec", ["jpeg:75", "resize:0.5", "gamma:0.5", "blur:1.5", "bits:4"])
def test_its_gradient_leads_to_what_it_shows(spec: str) -> None:
    """Steps along it bring the corrupted image nearer to another one, black pixels included."""
    corruption = parse_corruption(spec)
    x = as_tensor(np.where(scene() < 60, 0, scene()).astype(np.uint8))
    wanted = corrupted(as_tensor(scene()[::-1].copy()), corruption)

    def distance(levels: Tensor) -> Tensor:
        return (corrupted(levels, corruption) - wanted).square().mean()

    before = float(distance(x))
    for _ in range(20):
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(distance(x), x)
        assert bool(gradient.isfinite().all())
        x = (x - 4 * gradient.sign()).clamp(0, 255)
    assert float(distance(x.detach())) < 0.6 * before


def test_a_network_behind_it_sees_what_it_leaves() -> None:
    image, corruption = scene(), parse_corruption("blur:2")
    network: Any = lambda images: images  # noqa: E731
    network.spec = None
    seen = Behind(network, corruption)(as_tensor(image) / 255)
    assert torch.allclose(seen * 255, corrupted(as_tensor(image), corruption))

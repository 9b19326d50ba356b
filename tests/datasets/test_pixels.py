from typing import get_args

import numpy as np
import pytest
import torch

from segeval.datasets.pixels import nearest, resize_image, resize_labels
from segeval.files.sets import Resize


def noise(height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("resize", ["opencv", "box"])
def test_halving_averages_two_by_two_with_rounding(resize: Resize) -> None:
    image = noise(20, 30)
    blocks = image.reshape(10, 2, 15, 2, 3).astype(np.uint16).sum((1, 3))
    np.testing.assert_array_equal(resize_image(image, (10, 15), resize), (blocks + 2) >> 2)


@pytest.mark.parametrize("size", [(7, 11), (40, 60), (20, 45), (1, 1), (9, 30), (33, 10)])
def test_opencv_is_linear_interpolation_without_antialiasing(size: tuple[int, int]) -> None:
    image = noise(20, 30)
    planes = torch.from_numpy(image).permute(2, 0, 1)[None].double()
    expected = torch.nn.functional.interpolate(planes, size, mode="bilinear", align_corners=False, antialias=False)
    found = resize_image(image, size, "opencv").astype(float)
    assert np.abs(found - expected[0].permute(1, 2, 0).numpy()).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("size", [(10, 15), (7, 11), (40, 60)])
def test_pillow_is_antialiased(size: tuple[int, int]) -> None:
    image = noise(20, 30)
    planes = torch.from_numpy(image).permute(2, 0, 1)[None].double()
    expected = torch.nn.functional.interpolate(planes, size, mode="bilinear", align_corners=False, antialias=True)
    found = resize_image(image, size, "pillow").astype(float)
    assert np.abs(found - expected[0].permute(1, 2, 0).numpy()).max() <= 1.0 + 1e-4  # it rounds after each axis


def test_integer_reductions_average_blocks() -> None:
    image = noise(12, 30)
    mean = image.reshape(3, 4, 6, 5, 3).astype(float).mean((1, 3))
    assert np.abs(resize_image(image, (3, 6), "box") - mean).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("resize", get_args(Resize))
@pytest.mark.parametrize("size", [(7, 11), (40, 60), (20, 45), (1, 1)])
def test_any_size_keeps_the_mean_colour(size: tuple[int, int], resize: Resize) -> None:
    image = np.full((20, 30, 3), (10, 100, 200), np.uint8)
    resized = resize_image(image, size, resize)
    assert resized.shape == (*size, 3)
    assert (resized == (10, 100, 200)).all()


def test_an_image_of_the_right_size_stays_as_it_is() -> None:
    image = noise(5, 7)
    assert resize_image(image, (5, 7)) is image


@pytest.mark.parametrize("old", [1, 2, 5, 9, 512])
@pytest.mark.parametrize("new", [1, 3, 5, 18, 256])
def test_nearest_is_nearest_and_the_first_of_two(old: int, new: int) -> None:
    distances = np.abs((np.arange(old)[None] * 2 + 1) * new - (np.arange(new)[:, None] * 2 + 1) * old)
    np.testing.assert_array_equal(nearest(old, new), distances.argmin(axis=1))


def test_halved_labels_are_every_even_pixel() -> None:
    labels = noise(20, 30)[..., 0]
    np.testing.assert_array_equal(resize_labels(labels, (10, 15)), labels[::2, ::2])

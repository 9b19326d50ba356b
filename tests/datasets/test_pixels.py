import numpy as np
import pytest

from segeval.datasets.pixels import nearest, resize_image, resize_labels


def noise(height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_halving_averages_two_by_two_with_rounding() -> None:
    image = noise(20, 30)
    blocks = image.reshape(10, 2, 15, 2, 3).astype(np.uint16).sum((1, 3))
    np.testing.assert_array_equal(resize_image(image, (10, 15)), (blocks + 2) >> 2)


def test_integer_reductions_average_blocks() -> None:
    image = noise(12, 30)
    mean = image.reshape(3, 4, 6, 5, 3).astype(float).mean((1, 3))
    assert np.abs(resize_image(image, (3, 6)) - mean).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("size", [(7, 11), (40, 60), (20, 45), (1, 1)])
def test_any_size_keeps_the_mean_colour(size: tuple[int, int]) -> None:
    image = np.full((20, 30, 3), (10, 100, 200), np.uint8)
    resized = resize_image(image, size)
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

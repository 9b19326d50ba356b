"""What numpy does around an engine of the user's, held to PyTorch's own operators."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from segeval_runner.described import Input, Output, answer_faults, label_maps, prepared

RNG = np.random.default_rng(3)
IMAGES = RNG.integers(0, 256, (2, 6, 8, 3), dtype=np.uint8)
SIZE = (6, 8)
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.1)


@pytest.mark.parametrize(("layout", "colour", "brightest"), [*product(("NCHW", "NHWC"), ("RGB", "BGR"), (1, 2, 255))])
def test_images_are_prepared_as_torch_would(layout: Any, colour: Any, brightest: float) -> None:
    found = prepared(IMAGES, Input(layout, colour, brightest, MEAN, STD), np.float32)
    channels = torch.from_numpy(IMAGES).double().permute(0, 3, 1, 2) / 255 * brightest
    if colour == "BGR":
        channels = channels.flip(1)
    mean, std = (torch.tensor(each, dtype=torch.float64).view(1, 3, 1, 1) for each in (MEAN, STD))
    expected = (channels - mean) / std
    expected = expected if layout == "NCHW" else expected.permute(0, 2, 3, 1)
    assert found.dtype == np.float32 and found.flags.c_contiguous
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-3)


def test_whole_numbers_are_rounded_to_and_not_cut() -> None:
    halved = prepared(IMAGES, Input(range=127.5), np.uint8)
    assert halved.dtype == np.uint8
    assert np.array_equal(halved, np.rint(IMAGES.transpose(0, 3, 1, 2) / 2))
    assert np.array_equal(prepared(IMAGES, Input("NHWC", range=255), np.uint8), IMAGES)


def scores(*shape: int) -> NDArray[np.float32]:
    return RNG.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    ("how", "options"),
    [
        ("bilinear", {"mode": "bilinear", "align_corners": False}),
        ("bilinear-aligned", {"mode": "bilinear", "align_corners": True}),
        ("nearest", {"mode": "nearest"}),
    ],
)
@pytest.mark.parametrize("inner", [(3, 4), (2, 3), (1, 1), (5, 8), (6, 8)])
def test_scores_are_resized_as_torch_does(how: Any, options: Any, inner: tuple[int, int]) -> None:
    small = scores(2, 5, *inner)
    expected = functional.interpolate(torch.from_numpy(small), SIZE, **options).argmax(1)
    assert np.array_equal(label_maps(small, Output(resize=how), SIZE), expected)
    last = small.transpose(0, 2, 3, 1)
    assert np.array_equal(label_maps(last, Output(layout="NHWC", resize=how), SIZE), expected)


def test_a_single_channel_tells_the_second_class() -> None:
    logits = scores(2, 1, 6, 8)
    expected = (logits[:, 0] > 0).astype(np.int32)
    assert np.array_equal(label_maps(logits, Output("logits"), SIZE), expected)
    sigmoid = 1 / (1 + np.exp(-logits))
    assert np.array_equal(label_maps(sigmoid, Output("probabilities"), SIZE), expected)
    assert 0 < expected.mean() < 1


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 1, 3, 4), (2, 3, 4, 1)])
def test_label_maps_take_the_nearest_whatever_is_said_of_scores(shape: tuple[int, ...]) -> None:
    small = RNG.integers(0, 5, shape)
    expected = np.repeat(np.repeat(small.reshape(2, 3, 4), 2, axis=1), 2, axis=2)
    found = label_maps(small, Output("labels", resize="bilinear"), SIZE)
    assert found.dtype == np.int32 and np.array_equal(found, expected)


def test_classes_in_another_order_get_the_networks_numbers() -> None:
    given = scores(2, 3, 6, 8)
    order = (2, 0, 1)
    expected = np.empty((2, 6, 8), np.int64)
    for of_file, of_network in enumerate(order):
        expected[given.argmax(1) == of_file] = of_network
    assert np.array_equal(label_maps(given, Output(classes=order), SIZE), expected)
    labels = given.argmax(1)
    assert np.array_equal(label_maps(labels, Output("labels", classes=order), SIZE), expected)
    labels[0, 0, :3] = (-1, 3, 255)
    assert label_maps(labels, Output("labels", classes=order), SIZE)[0, 0, :3].tolist() == [-1, -1, -1], "no class's"


@pytest.mark.parametrize(
    ("shape", "given", "said"),
    [
        ((2, 5, 6, 8), Output(), ""),
        ((2, 5, 3, 4), Output(), ""),
        ((2, 6, 8, 5), Output(layout="NHWC"), ""),
        ((2, 6, 8), Output("labels"), ""),
        ((2, 6, 8, 1), Output("labels"), ""),
        ((2, 4, 6, 8), Output(), "4 channels"),
        ((2, 6, 8, 5), Output(), "6 channels"),
        ((1, 5, 6, 8), Output(), "N = 2"),
        ((2, 5, 6), Output(), "are (N, C, h, w)"),
        ((2, 5, 6, 8), Output("labels"), "(N, 1, h, w)"),
        ((2, 5, 7, 8), Output(), "7x8, the images 6x8"),
        ((2, 0, 8), Output("labels"), "0x8"),
        ((2, 1, 6, 8), Output(), "1 channels"),
    ],
)
def test_an_answer_that_does_not_fit_says_why(shape: tuple[int, ...], given: Output, said: str) -> None:
    faults = answer_faults(shape, given, 2, SIZE, 5)
    assert said in faults and bool(said) == bool(faults)


def test_one_channel_is_enough_for_two_classes() -> None:
    assert answer_faults((2, 1, 6, 8), Output(), 2, SIZE, 2) == ""

"""Every corruption against something that computes it in another way, and what --corruption may say."""

import io
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin
from torch.nn.functional import interpolate

from segeval.corruptions import (
    KINDS,
    bits,
    blur,
    gamma,
    jpeg,
    parse_corruption,
    parse_corruptions,
    resize,
    written_as,
)
from segeval.errors import ConfigurationError, UnknownNameError
from segeval.files.images import RgbImage
from segeval_runner.strict import is_name
from tests.graphs.conftest import picture

EXAMPLES = ("jpeg:75", "resize:0.5", "gamma:2.2", "blur:1.5", "bits:4")
LEVELS = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
"""Every level of every colour."""


def grey(level: int) -> RgbImage:
    return np.full((32, 48, 3), level, np.uint8)


def difference(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    return np.abs(np.asarray(one, np.float64) - np.asarray(other, np.float64))


def test_there_is_an_example_of_every_corruption() -> None:
    assert [spec.partition(":")[0] for spec in EXAMPLES] == list(KINDS)


@pytest.mark.parametrize("spec", EXAMPLES)
@pytest.mark.parametrize("size", [(64, 128), (33, 47), (1, 1)])
def test_a_corruption_gives_an_image_of_the_same_size_each_time_the_same(spec: str, size: tuple[int, int]) -> None:
    image = picture(1)[: size[0], : size[1]]
    before = image.copy()
    first, again = (parse_corruption(spec).apply(image) for _ in range(2))
    assert first.shape == image.shape and first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert np.array_equal(image, before)


@pytest.mark.parametrize("spec", EXAMPLES)
def test_a_corruption_changes_an_image_and_keeps_black_and_white(spec: str) -> None:
    corruption = parse_corruption(spec)
    assert (corruption.apply(picture(1)) != picture(1)).any()
    assert (corruption.apply(grey(0)) == 0).all() and (corruption.apply(grey(255)) == 255).all()


@pytest.mark.parametrize("quality", [1, 50, 75, 100])
def test_jpeg_is_what_pillow_writes_by_default(quality: int) -> None:
    file = io.BytesIO()
    Image.fromarray(picture(2)).save(file, "JPEG", quality=quality)
    read = cast("JpegImagePlugin.JpegImageFile", Image.open(file))
    assert JpegImagePlugin.get_sampling(read) == 2  # 4:2:0
    assert np.array_equal(jpeg(picture(2), quality), np.asarray(read))


def test_a_better_quality_is_nearer_to_the_image() -> None:
    image = blur(picture(2), 3)
    errors = [difference(jpeg(image, quality), image).mean() for quality in (1, 10, 50, 90, 100)]
    assert errors == sorted(errors, reverse=True) and errors[0] > 4 * errors[-1]


@pytest.mark.parametrize("factor", [0.1, 0.37, 0.5, 0.9])
def test_resize_is_the_antialiased_bilinear_of_pytorch(factor: float) -> None:
    image = picture(3)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].double()
    height, width = image.shape[:2]
    small = (round(height * factor), round(width * factor))
    reduced = interpolate(pixels, small, mode="bilinear", antialias=True, align_corners=False).round()
    large = interpolate(reduced, (height, width), mode="bilinear", antialias=True, align_corners=False)
    found = difference(resize(image, factor), large[0].permute(1, 2, 0).numpy())
    assert found.max() <= 2 and found.mean() < 0.5  # Pillow rounds after each of four passes


@pytest.mark.parametrize("exponent", [0.1, 0.45, 1.0, 2.2, 10.0])
def test_gamma_is_its_formula(exponent: float) -> None:
    found = gamma(LEVELS, exponent)
    for level in range(256):
        assert abs(int(found.reshape(-1, 3)[level, 1]) - 255 * (level / 255) ** exponent) <= 0.5 + 1e-9


def test_gamma_1_is_the_image_and_gamma_g_is_undone_by_its_inverse_where_levels_are_left() -> None:
    assert np.array_equal(gamma(picture(1), 1), picture(1))
    assert difference(gamma(gamma(LEVELS, 0.5), 2), LEVELS).max() <= 1


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5])
def test_blur_is_a_gaussian_written_out(sigma: float) -> None:
    image = picture(4)[:24, :32]
    radius = int(4 * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * sigma**2))
    padded = np.pad(image.astype(float), ((radius, radius), (radius, radius), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape, (0, 1))
    expected = np.einsum("yxcij,ij->yxc", windows, kernel / kernel.sum())
    assert difference(blur(image, sigma), expected).max() <= 0.5 + 1e-9


def test_blur_leaves_the_colours_apart() -> None:
    image = np.zeros((32, 48, 3), np.uint8)
    image[16, 24, 0] = 255
    assert blur(image, 2)[..., 0].any() and not blur(image, 2)[..., 1:].any()


@pytest.mark.parametrize("depth", range(1, 9))
def test_bits_keeps_so_many_levels_evenly_spread_and_does_nothing_twice(depth: int) -> None:
    found = bits(LEVELS, depth)
    steps = 2**depth - 1
    assert sorted(set(found.ravel().tolist())) == [round(255 * step / steps) for step in range(steps + 1)]
    assert (np.diff(found.reshape(-1, 3)[:, 0].astype(int)) >= 0).all()
    assert np.array_equal(bits(found, depth), found)
    assert difference(found, LEVELS).max() <= 256 / 2**depth


def test_bits_8_is_the_image() -> None:
    assert np.array_equal(bits(LEVELS, 8), LEVELS)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("jpeg:75", "jpeg-75"),
        ("jpeg:75.0", "jpeg-75"),
        ("resize:0.50", "resize-0.5"),
        ("gamma:2.2", "gamma-2.2"),
        ("blur:12.345", "blur-12.345"),
        ("bits:4", "bits-4"),
    ],
)
def test_a_corruption_has_one_name(spec: str, name: str) -> None:
    assert parse_corruption(spec).name == name


@pytest.mark.parametrize(
    ("spec", "error", "complaint", "hint"),
    [
        ("jpeg:0", ConfigurationError, "the quality is a whole number from 1 to 100", "--corruption jpeg:75"),
        ("jpeg:101", ConfigurationError, "the quality is a whole number from 1 to 100", "--corruption jpeg:75"),
        ("jpeg:75.5", ConfigurationError, "whole number", "--corruption jpeg:75"),
        ("jpeg:abc", ConfigurationError, "whole number", "--corruption jpeg:75"),
        ("jpeg:", ConfigurationError, "whole number", "--corruption jpeg:75"),
        ("jpeg", ConfigurationError, "whole number", "--corruption jpeg:75"),
        ("jpeg:-75", ConfigurationError, "whole number", "--corruption jpeg:75"),
        ("jpeg:75:2", ConfigurationError, "whole number", "--corruption jpeg:75"),
        (
            "resize:2",
            ConfigurationError,
            "the factor is a number of at most three decimals from 0.05 to 0.99",
            "resize:0.5",
        ),
        ("resize:1", ConfigurationError, "the factor", "resize:0.5"),
        ("resize:0", ConfigurationError, "the factor", "resize:0.5"),
        ("resize:1/2", ConfigurationError, "the factor", "resize:0.5"),
        ("gamma:0", ConfigurationError, "the exponent", "gamma:2.2"),
        ("gamma:nan", ConfigurationError, "the exponent", "gamma:2.2"),
        ("gamma:inf", ConfigurationError, "the exponent", "gamma:2.2"),
        ("gamma:1.00001", ConfigurationError, "three decimals", "gamma:2.2"),
        ("gamma:²", ConfigurationError, "the exponent", "gamma:2.2"),
        ("blur:1e9", ConfigurationError, "standard deviation in pixels", "blur:1.5"),
        ("bits:9", ConfigurationError, "bits per colour", "bits:4"),
        (
            "jpg:75",
            UnknownNameError,
            "unknown corruption 'jpg'",
            "did you mean jpeg? Write it as in --corruption jpeg:75",
        ),
        ("blurr:3", UnknownNameError, "unknown corruption 'blurr'", "did you mean blur? Write"),
        ("JPEG:75", UnknownNameError, "unknown corruption 'JPEG'", "Known: jpeg, resize, gamma, blur, bits."),
        ("", UnknownNameError, "unknown corruption ''", "Known: jpeg"),
    ],
)
def test_what_is_no_corruption_is_refused_with_its_reason(
    spec: str, error: type[ConfigurationError], complaint: str, hint: str
) -> None:
    with pytest.raises(error) as caught:
        parse_corruption(spec)
    assert complaint in caught.value.what and repr(spec) in caught.value.what
    assert hint in caught.value.hint and "rite it as in" in caught.value.hint


@pytest.mark.parametrize("name", KINDS)
def test_the_example_of_a_kind_is_one(name: str) -> None:
    assert parse_corruption(written_as(name, "--corruption").rpartition(" ")[2]).name.startswith(f"{name}-")


def test_a_corruption_that_is_given_twice_is_refused_however_it_is_written() -> None:
    assert [corruption.name for corruption in parse_corruptions(["jpeg:75", "jpeg:50"])] == ["jpeg-75", "jpeg-50"]
    with pytest.raises(ConfigurationError, match="gamma:2 is given twice"):
        parse_corruptions(["gamma:2", "jpeg:75", "gamma:2.0"])


# Without subnormal numbers, which deploy() switches off for the whole process.
SETTINGS = st.one_of(st.integers(-1, 101), st.floats(-1, 101, allow_subnormal=False).map("{:.3f}".format))


@given(st.one_of(st.text(max_size=20), st.builds("{}:{}".format, st.sampled_from(list(KINDS)), SETTINGS)))
def test_any_text_is_a_corruption_or_an_error_that_explains_itself(spec: str) -> None:
    try:
        corruption = parse_corruption(spec)
    except ConfigurationError as error:
        assert error.hint
        return
    assert is_name(corruption.name)
    assert corruption.kind.low <= corruption.setting <= corruption.kind.high

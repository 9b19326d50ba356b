"""What the pictures of a case show."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from segeval.classes import CAMVID, CITYSCAPES
from segeval.evaluate.measure.survival import LabelMaps
from segeval.evaluate.report.palette import class_colours
from segeval.evaluate.report.panels import (
    FATES,
    amplification,
    change_picture,
    fates,
    fates_picture,
    painted,
    picture_size,
)
from segeval.goals import Goal


def row(*values: int) -> NDArray[np.uint8]:
    return np.array([values], np.uint8)


GOAL = Goal((1,), 3)
MAPS = LabelMaps(
    phi=row(1, 1, 1, 1, 0) > 0,
    truth=None,
    desktop_clean=row(1, 1, 1, 1, 2),
    desktop_adversarial=row(3, 3, 1, 1, 3),
    engine_clean=row(1, 1, 1, 1, 2),
    engine_adversarial=row(3, 1, 3, 1, 3),
)


def decoded(picture: bytes, mode: str = "RGB") -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(picture)) as image:
        assert image.format == "WEBP"
        return np.array(image.convert(mode))


def test_every_fate_has_its_colour_and_the_rest_is_transparent() -> None:
    pixels = fates(MAPS, GOAL)
    assert [tuple(pixel[:3]) for pixel in pixels[0, :4].tolist()] == [colour for _, colour in FATES]
    assert pixels[0, :, 3].tolist() == [255, 255, 255, 255, 0]
    assert (decoded(fates_picture(MAPS, GOAL, (5, 1)), "RGBA")[0, :4] == pixels[0, :4]).all()
    assert decoded(fates_picture(MAPS, GOAL, (5, 1)), "RGBA")[0, 4, 3] == 0


def test_amplification_is_as_large_as_8_bits_allow() -> None:
    for largest, factor in ((0, 64), (1, 64), (2, 32), (3, 32), (4, 16), (60, 2), (200, 1)):
        assert amplification(np.full((4, 4, 3), largest, np.int16)) == factor


def test_the_change_is_shown_amplified_around_grey() -> None:
    clean = np.full((64, 64, 3), 100, np.uint8)
    adversarial = clean.copy()
    adversarial[:32], adversarial[32:, 32:] = 102, 98
    picture, factor = change_picture(clean, adversarial, (64, 64))
    assert factor == 32
    shown = decoded(picture).astype(int)
    assert shown.shape == (32, 32, 3)
    for place, level in (((8, 16), 128 + 64), ((24, 24), 128 - 64), ((24, 8), 128)):
        assert np.abs(shown[place] - level).max() <= 6, place


def test_label_maps_are_painted_exactly() -> None:
    labels = np.random.default_rng(0).integers(0, 19, (24, 32), np.uint8)
    colours = class_colours(CITYSCAPES)
    assert (decoded(painted(labels, colours, (32, 24))) == colours[labels]).all()


def test_large_label_maps_are_reduced_without_blending() -> None:
    labels = np.array([[0, 13], [10, 8]], np.uint8).repeat(512, axis=0).repeat(1024, axis=1)
    colours = class_colours(CITYSCAPES)
    size = picture_size((1024, 2048), 480)
    assert size == (480, 240)
    shown = decoded(painted(labels, colours, size))
    assert shown.shape == (240, 480, 3)
    assert set(map(tuple, shown.reshape(-1, 3).tolist())) == set(map(tuple, colours[[0, 13, 10, 8]].tolist()))


@pytest.mark.parametrize(("shape", "size"), [((48, 64), (64, 48)), ((960, 480), (240, 480)), ((3000, 2), (1, 480))])
def test_pictures_are_reduced_and_never_enlarged(shape: tuple[int, int], size: tuple[int, int]) -> None:
    assert picture_size(shape, 480) == size


def test_outputs_beyond_the_table_are_near_black() -> None:
    colours = class_colours(CAMVID)
    assert colours[len(CAMVID)].tolist() == [20, 20, 20]
    assert [tuple(colour) for colour in colours[: len(CAMVID)].tolist()] == list(CAMVID.palette)

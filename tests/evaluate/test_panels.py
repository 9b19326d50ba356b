"""What the example pictures show and which examples are chosen."""

import base64
import io
from dataclasses import replace

import numpy as np
from PIL import Image

from segeval.classes import CAMVID, CITYSCAPES
from segeval.evaluate.palette import class_colours
from segeval.evaluate.panels import FATES, amplification, choose_examples, example_panels, fates
from segeval.evaluate.survival import LabelMaps, SampleCounts

PLAIN = SampleCounts(
    "s",
    "a",
    "t",
    "k",
    ("m",),
    "m",
    "e",
    100,
    50,
    40,
    6,
    20,
    1,
    3,
    2,
    None,
    None,
    None,
    None,
    None,
    None,
    1.0,
    2.0,
    3.0,
    4,
)


def row(*values: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.array([values], np.uint8)


MAPS = LabelMaps(
    phi=row(1, 1, 1, 1, 0) > 0,
    truth=None,
    desktop_clean=row(1, 1, 1, 1, 2),
    desktop_adversarial=row(3, 3, 1, 1, 3),
    engine_clean=row(1, 1, 1, 1, 2),
    engine_adversarial=row(3, 1, 3, 1, 3),
)


def test_every_fate_has_its_colour() -> None:
    painted = fates(np.zeros((1, 5, 3), np.uint8), MAPS, 3)
    assert [tuple(pixel) for pixel in painted[0, :4].tolist()] == [colour for _, colour in FATES]
    assert tuple(painted[0, 4].tolist()) == (190, 190, 190)


def test_amplification_is_as_large_as_8_bits_allow() -> None:
    for largest, factor in ((0, 64), (1, 64), (2, 32), (3, 32), (4, 16), (60, 2), (200, 1)):
        assert amplification(np.full((4, 4, 3), largest, np.int16)) == factor


def test_panels_show_labels_in_their_colours_and_the_perturbation_around_grey() -> None:
    clean = np.full((1, 5, 3), 100, np.uint8)
    adversarial = clean.copy()
    adversarial[0, 0], adversarial[0, 1] = 102, 98
    colours = class_colours(CITYSCAPES)
    panels = example_panels(clean, adversarial, MAPS, 3, colours, "int8")
    assert [panel.title for panel in panels][2] == "Perturbation × 32"
    pixels = [np.array(Image.open(io.BytesIO(base64.b64decode(p.uri.split(",")[1]))).convert("RGB")) for p in panels]
    assert pixels[2][0, :3, 0].tolist() == [128 + 64, 128 - 64, 128]
    assert (pixels[7] == colours[MAPS.engine_adversarial]).all()
    assert (pixels[4] == colours[MAPS.desktop_clean]).all()


def test_large_images_are_reduced_without_blending_labels() -> None:
    labels = np.array([[0, 13], [10, 8]], np.uint8).repeat(512, axis=0).repeat(1024, axis=1)
    maps = LabelMaps(labels == 13, None, labels, labels, labels, labels)
    image = np.zeros((*labels.shape, 3), np.uint8)
    colours = class_colours(CITYSCAPES)
    panel = example_panels(image, image, maps, 0, colours, "int8")[4]
    assert (panel.width, panel.height) == (360, 180)
    shown = np.array(Image.open(io.BytesIO(base64.b64decode(panel.uri.split(",")[1]))).convert("RGB"))
    assert set(map(tuple, shown.reshape(-1, 3).tolist())) == set(map(tuple, colours[[0, 13, 10, 8]].tolist()))


def test_outputs_beyond_the_table_are_near_black() -> None:
    colours = class_colours(CAMVID)
    assert colours[len(CAMVID)].tolist() == [20, 20, 20]
    assert [tuple(colour) for colour in colours[: len(CAMVID)].tolist()] == list(CAMVID.palette)


def test_examples_are_the_best_and_the_least_surviving_of_different_images() -> None:
    def sample(image: str, survived: int, reached: int = 40, phi: int = 50) -> SampleCounts:
        return replace(PLAIN, sample=f"{image}{survived}", image=image, survived=survived, desktop_hit=reached, phi=phi)

    rows = [sample("a", 40), sample("a", 39), sample("b", 30), sample("c", 2), sample("d", 9), sample("e", 0, 0)]
    invisible = replace(sample("f", 40), phi=50, desktop_hit=1, survived=1)  # 2 % of φ reached: nothing to see
    chosen = choose_examples([*rows, invisible], 2)
    assert [(row.sample, why) for row, why in chosen] == [
        ("a40", "survived best"),
        ("b30", "survived best"),
        ("c2", "survived least"),
        ("d9", "survived least"),
    ]
    assert [row.sample for row, _ in choose_examples([invisible], 3)] == [invisible.sample]
    assert choose_examples([rows[-1]], 3) == []

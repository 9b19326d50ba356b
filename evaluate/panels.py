"""Pictures of an example: what was shown, what was seen, and what became of each attacked pixel."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segeval.evaluate.survival import LabelMaps, SampleCounts
from segeval.store import RgbImage

Pixel = TypeVar("Pixel", np.uint8, np.int16)

WIDTH = 360
"""Largest side of a panel in pixels; the files beside the report have the full size."""
SMALLEST_PHI = 0.005
LEAST_SUCCESS = 0.2
"""Examples with a smaller share of φ, or on which less of it was reached, are chosen only if there are no others."""
FATES = (
    ("survived", (213, 73, 17)),
    ("lost on the engine", (41, 121, 190)),
    ("only on the engine", (240, 180, 60)),
    ("never reached", (118, 118, 118)),
)
"""What can become of a pixel of φ, and the colour of it."""


@dataclass(frozen=True)
class Panel:
    """One picture. uri: PNG as a data URI."""

    title: str
    note: str
    uri: str
    width: int
    height: int


def choose_examples(rows: Sequence[SampleCounts], each: int) -> list[tuple[SampleCounts, str]]:
    """Samples that survived best and least, `each` of both, largest φ first among equals, and why they were chosen.

    rows: of one engine. An image is shown twice only if there are not enough.
    """
    reached = [row for row in rows if row.desktop_hit]
    visible = [row for row in reached if row.phi >= SMALLEST_PHI * row.pixels] or reached
    visible = [row for row in visible if row.desktop_hit >= LEAST_SUCCESS * row.phi] or visible
    chosen: list[tuple[SampleCounts, str]] = []

    def take(sign: int, why: str) -> None:
        def order(row: SampleCounts) -> tuple[bool, float, int, str]:
            shown = row.image in {taken.image for taken, _ in chosen}
            return shown, sign * row.survived / row.desktop_hit, -row.phi, row.sample

        left = [row for row in visible if row not in [taken for taken, _ in chosen]]
        if left:
            chosen.append((min(left, key=order), why))

    for _ in range(each):
        take(-1, "survived best")
        take(+1, "survived least")
    return sorted(chosen, key=lambda pair: pair[1])


def example_panels(
    clean: RgbImage, adversarial: RgbImage, maps: LabelMaps, target: int, colours: NDArray[np.uint8], engine: str
) -> tuple[Panel, ...]:
    """Eight panels: two images, the perturbation and the fates of φ; then what desktop and engine saw in both."""
    change = adversarial.astype(np.int16) - clean
    factor = amplification(change)
    amplified = np.clip(128 + factor * _decimated(change), 0, 255).astype(np.uint8)
    return (
        _photo("Clean image", "", clean),
        _photo("Adversarial image", "as saved, 8 bits", adversarial),
        _panel(f"Perturbation × {factor}", "grey is no change", _indexed(amplified, 96)),
        _panel("What became of φ", f"desktop to {engine}", _indexed(_decimated(fates(clean, maps, target)), 64)),
        _painted("Clean, desktop", maps.desktop_clean, colours),
        _painted(f"Clean, {engine}", maps.engine_clean, colours),
        _painted("Adversarial, desktop", maps.desktop_adversarial, colours),
        _painted(f"Adversarial, {engine}", maps.engine_adversarial, colours),
    )


def amplification(change: NDArray[np.int16]) -> int:
    """The power of two up to 64 that makes nearly all of a perturbation (in levels) as visible as 8 bits allow."""
    strong = float(np.percentile(np.abs(change), 99.5))
    return next((factor for factor in (64, 32, 16, 8, 4, 2) if factor * strong <= 127), 1)


def fates(clean: RgbImage, maps: LabelMaps, target: int) -> RgbImage:
    """The clean image in pale grey with φ painted by what became of each pixel."""
    pale = 190 + clean.mean(axis=2, keepdims=True) // 4
    picture = np.repeat(pale, 3, axis=2).astype(np.uint8)
    desktop, engine = maps.desktop_adversarial == target, maps.engine_adversarial == target
    kinds = (desktop & engine, desktop & ~engine, ~desktop & engine, ~desktop & ~engine)
    for (_, colour), kind in zip(FATES, kinds, strict=True):
        picture[maps.phi & kind] = colour
    return picture


def classes_shown(maps: LabelMaps) -> list[int]:
    """Labels that occur in the painted panels."""
    painted = (maps.desktop_clean, maps.engine_clean, maps.desktop_adversarial, maps.engine_adversarial)
    return sorted(set().union(*(np.unique(labels).tolist() for labels in painted)))


def _size(height: int, width: int) -> tuple[int, int]:
    scale = min(1.0, WIDTH / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _decimated(pixels: NDArray[Pixel]) -> NDArray[Pixel]:
    """Every n-th pixel, so that neither labels nor noise are blended."""
    width, height = _size(*pixels.shape[:2])
    rows = (np.arange(height) + 0.5) * pixels.shape[0] / height
    columns = (np.arange(width) + 0.5) * pixels.shape[1] / width
    decimated: NDArray[Pixel] = pixels.take(rows.astype(int), axis=0).take(columns.astype(int), axis=1)
    return decimated


def _indexed(pixels: RgbImage, colours: int) -> Image.Image:
    """With at most this many colours, which a file of a few dozen kilobytes can hold."""
    return Image.fromarray(pixels).quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def _photo(title: str, note: str, pixels: RgbImage) -> Panel:
    small = Image.fromarray(pixels).resize(_size(*pixels.shape[:2]), Image.Resampling.LANCZOS)
    palette = small.quantize(255, Image.Quantize.MEDIANCUT)
    return _panel(title, note, small.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG))


def _painted(title: str, labels: NDArray[np.uint8], colours: NDArray[np.uint8]) -> Panel:
    image = Image.fromarray(_decimated(labels))
    image.putpalette(colours.tobytes())
    return _panel(title, "", image)


def _panel(title: str, note: str, image: Image.Image) -> Panel:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    uri = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return Panel(title, note, uri, *image.size)

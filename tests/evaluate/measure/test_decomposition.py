"""Bins of pixels against a slow reference that looks at one pixel after another."""

from collections import deque
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from segeval.evaluate.measure.decomposition import (
    BORDER_EDGES,
    COLUMNS,
    MARGIN_EDGES,
    SIZE_EDGES,
    Decomposition,
    Shape,
    bounding_box,
    into_bins,
    named_bins,
)
from segeval.goals import Goal
from segeval.metrics import Labels, Mask

OUTPUTS = ("road", "car", "tree", "background")
TARGET = 0
BINS = named_bins(OUTPUTS)
Pixel = tuple[int, int]


@dataclass(frozen=True)
class Scene:
    """What `Decomposition` is made of, and what an engine sees."""

    phi: Mask
    clean: Labels
    adversarial: Labels
    engine: Labels
    margins: NDArray[np.float16] | None

    def count(self) -> dict[tuple[str, str], list[int]]:
        parts = Decomposition(
            Shape.of(self.phi), self.clean, self.adversarial, self.margins, Goal((), TARGET), classes=len(OUTPUTS)
        )
        return {(each.by, each.name): row for each, row in zip(BINS, parts.count(self.engine).tolist(), strict=True)}


def border_distance(outside: NDArray[np.int64], pixel: Pixel) -> float:
    """Of all pixels outside φ the nearest one's distance along the axis where it is farther."""
    return float(np.abs(outside - pixel).max(axis=1).min()) if len(outside) else np.inf


def part_sizes(phi: Mask) -> dict[Pixel, int]:
    """For each pixel of φ how many can be reached from it without leaving φ, itself included."""
    sizes: dict[Pixel, int] = {}
    for top, left in np.argwhere(phi).tolist():
        if (top, left) in sizes:
            continue
        seen, waiting = {(top, left)}, deque([(top, left)])
        while waiting:
            y, x = waiting.popleft()
            for near in ((y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)):
                inside = 0 <= near[0] < phi.shape[0] and 0 <= near[1] < phi.shape[1]
                if inside and phi[near] and near not in seen:
                    seen.add(near)
                    waiting.append(near)
        sizes.update(dict.fromkeys(seen, len(seen)))
    return sizes


def bin_of(value: float, edges: str) -> str:
    """The bin of a value. edges: where bins begin, as in ``1 2 4``."""
    words = edges.split()
    last = max(place for place, word in enumerate(words) if value >= float(word))
    return f"{words[last]}–{words[last + 1]}" if last + 1 < len(words) else f"≥{words[last]}"


def slow_reference(scene: Scene) -> dict[tuple[str, str], list[int]]:
    """Pixels per bin, straight from the definitions."""
    counts: dict[tuple[str, str], list[int]] = {(each.by, each.name): [0, 0, 0, 0] for each in BINS}
    outside, sizes = np.argwhere(~scene.phi), part_sizes(scene.phi)
    for number, (y, x) in enumerate(np.argwhere(scene.phi).tolist()):
        desktop, engine = bool(scene.adversarial[y, x] == TARGET), bool(scene.engine[y, x] == TARGET)
        keys = [
            ("border", bin_of(border_distance(outside, (y, x)), "1 2 4 8 16")),
            ("size", bin_of(sizes[y, x], "1 4 16 64 256 1024 4096 16384")),
            ("class", OUTPUTS[scene.clean[y, x]]),
        ]
        if scene.margins is not None and desktop:
            keys.append(("margin", bin_of(float(scene.margins[number]), "0 0.25 0.5 1 2 4")))
        for key in keys:
            for column, counted in enumerate((True, desktop, engine, desktop and engine)):
                counts[key][column] += counted
    return counts


def margins_of(phi: Mask, adversarial: Labels, sizes: NDArray[np.float16]) -> NDArray[np.float16]:
    return np.where(adversarial[phi] == TARGET, sizes, -sizes)


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    shape = (draw(st.integers(1, 12)), draw(st.integers(1, 12)))
    labels = hnp.arrays(np.uint8, shape, elements=st.integers(0, len(OUTPUTS) - 1))
    phi, adversarial = draw(hnp.arrays(np.bool_, shape)), draw(labels)
    # Edges of bins are as likely as what lies between them.
    values = st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0]) | st.floats(2**-10, 60, width=16)
    sizes = draw(hnp.arrays(np.float16, int(phi.sum()), elements=values))
    margins = draw(st.sampled_from([None, margins_of(phi, adversarial, sizes)]))
    return Scene(phi, draw(labels), adversarial, draw(labels), margins)


@given(scenes())
def test_bins_equal_the_slow_reference(scene: Scene) -> None:
    assert scene.count() == slow_reference(scene)


def large_scene(phi: Mask, seed: int = 0) -> Scene:
    rng = np.random.default_rng(seed)
    clean, adversarial, engine = rng.integers(0, len(OUTPUTS), (3, *phi.shape), np.uint8)
    sizes = rng.exponential(2, int(phi.sum())).astype(np.float16)
    return Scene(phi, clean, adversarial, engine, margins_of(phi, adversarial, sizes))


def blobs() -> Mask:
    """Parts of 1, 3, 4, 25 and 300 pixels and more, one of them at the edge of the image."""
    phi = np.zeros((60, 70), np.bool_)
    for top, left, height, width in ((1, 1, 1, 1), (1, 5, 1, 3), (1, 10, 2, 2), (5, 3, 5, 5), (5, 20, 15, 20)):
        phi[top : top + height, left : left + width] = True
    phi[22:, 10:60] = True
    phi[21, 9] = True  # joined to the large part by its corner alone
    return phi


SQUARE = np.pad(np.ones((33, 33), np.bool_), 5)
WHOLE = np.ones((40, 50), np.bool_)


@pytest.mark.parametrize("phi", [blobs(), SQUARE, WHOLE], ids=["parts", "a square inside", "the whole image"])
def test_large_parts_equal_the_slow_reference(phi: Mask) -> None:
    scene = large_scene(phi)
    found = scene.count()
    assert found == slow_reference(scene)
    assert found["border", "≥16"][0] > 0, "it is large enough for the last bin"


def test_bins_of_a_dimension_are_a_partition() -> None:
    scene = large_scene(blobs())
    hit, seen = scene.adversarial[scene.phi] == TARGET, scene.engine[scene.phi] == TARGET
    whole = [int(pixels.sum()) for pixels in (scene.phi, hit, seen, hit & seen)]
    found = scene.count()
    for by in ("border", "size", "class", "margin"):
        rows = np.array([row for (dimension, _), row in found.items() if dimension == by])
        expected = whole if by != "margin" else [whole[1], whole[1], whole[3], whole[3]]
        assert rows.sum(axis=0).tolist() == expected


def test_bins_are_named_in_order() -> None:
    assert COLUMNS == ("phi", "desktop_hit", "engine_hit", "survived")
    names = {by: [each.name for each in BINS if each.by == by] for by in ("margin", "border", "size", "class")}
    assert names["margin"] == ["0–0.25", "0.25–0.5", "0.5–1", "1–2", "2–4", "≥4"]
    assert names["border"] == ["1–2", "2–4", "4–8", "8–16", "≥16"]
    assert names["size"][:2] + names["size"][-2:] == ["1–4", "4–16", "4096–16384", "≥16384"]
    assert names["class"] == list(OUTPUTS)
    assert [each.place for each in BINS if each.by == "class"] == [0, 1, 2, 3]


@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8)))
def test_the_bounding_box_leaves_out_nothing_and_keeps_a_rim(phi: Mask) -> None:
    rows, columns = bounding_box(phi)
    inside = phi[rows, columns]
    assert inside.sum() == phi.sum()
    if not phi.any():
        return
    for box, size, first, last in (
        (rows, phi.shape[0], inside[0], inside[-1]),
        (columns, phi.shape[1], inside[:, 0], inside[:, -1]),
    ):
        assert box.start == 0 or not first.any()
        assert box.stop >= size or not last.any()


def test_bins_have_the_edges_that_they_are_called_by() -> None:
    known = {"margin": MARGIN_EDGES, "border": BORDER_EDGES, "size": SIZE_EDGES}
    for by, edges in known.items():
        bins = [own for own in named_bins(("road", "car")) if own.by == by]
        assert [own.place for own in bins] == list(range(len(edges) + 1))
        assert [own.high for own in bins] == [*edges, None]
        for own in bins:
            assert own.low is not None
            assert own.name == (f"≥{own.low:g}" if own.high is None else f"{own.low:g}–{own.high:g}")
            assert into_bins(np.array([own.low]), edges).tolist() == [own.place]
    assert {(own.low, own.high) for own in named_bins(("road", "car")) if own.by == "class"} == {(None, None)}

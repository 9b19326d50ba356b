"""Walls, fences and hedges along a side of the street."""

import numpy as np

from segeval.datasets.synthetic import labels
from segeval.datasets.synthetic.camera import Point3
from segeval.datasets.synthetic.plants import leaf_colour
from segeval.datasets.synthetic.sampling import Rgb, between, chance, pick, scaled, vary
from segeval.datasets.synthetic.scene_layout import KERB, Side
from segeval.datasets.synthetic.stage import BACK, UP, Stage

Span = tuple[float, float]


def draw_barrier(stage: Stage, side: Side, span: Span, rng: np.random.Generator) -> None:
    """Draw what stands between sidewalk and grass over this stretch of z."""
    draw = {"wall": _wall, "fence": _fence, "hedge": _hedge}.get(side.barrier)
    if draw is not None:
        draw(stage, side, span, rng)


def sheet(x: float, y0: float, y1: float, z0: float, z1: float) -> list[Point3]:
    """An upright rectangle along the street."""
    return [(x, y0, z0), (x, y0, z1), (x, y1, z1), (x, y1, z0)]


def _cells(span: Span, step: float) -> list[Span]:
    """The stretch cut into pieces of about `step`, far ones first."""
    count = max(round((span[1] - span[0]) / step), 1)
    size = (span[1] - span[0]) / count
    return [(span[0] + i * size, span[0] + (i + 1) * size) for i in reversed(range(count))]


def _wall(stage: Stage, side: Side, span: Span, rng: np.random.Generator) -> None:
    """A free-standing wall with coping, joints and pillars: no windows, less than 3 m high."""
    height = between(rng, 1.7, 2.7)
    stones: tuple[Rgb, ...] = (
        (168.0, 164.0, 156.0),
        (150.0, 110.0, 88.0),
        (136.0, 132.0, 126.0),
        (186.0, 172.0, 146.0),
        (122.0, 104.0, 88.0),
    )
    rgb = vary(rng, pick(rng, stones), 14)
    blocks = chance(rng, 0.7)
    x, out = side.walk, side.sign
    normal = (-out, 0.0, 0.0)
    stage.cast([(x, KERB, span[0]), (x, KERB, span[1]), (x, height, span[0]), (x, height, span[1])])
    for z0, z1 in _cells(span, 5.0):
        tone = vary(rng, rgb, 5)
        stage.fill(stage.paint(labels.WALL, tone, normal, z0, 0.75), sheet(x, KERB, height, z0, z1))
        if blocks and z0 < 30:
            _blocks(stage, x, normal, (z0, z1), height, tone, rng)
        base = stage.paint(labels.WALL, scaled(tone, 0.8), normal, z0, 0.75)
        stage.fill(base, sheet(x, KERB, KERB + 0.3, z0, z1))
        cap = stage.paint(labels.WALL, scaled(rgb, 1.15), normal, z0, 0.3)
        stage.fill(cap, sheet(x - out * 0.08, height - 0.02, height + 0.16, z0, z1))
        pillar = stage.paint(labels.WALL, scaled(rgb, 0.93), normal, z0, 0.6)
        face = stage.paint(labels.WALL, scaled(rgb, 0.93), BACK, z0, 0.6)
        stage.fill(pillar, sheet(x - out * 0.15, KERB, height + 0.3, z0, z0 + 0.5))
        stage.fill(
            face,
            [
                (x - out * 0.15, KERB, z0),
                (x + out * 0.2, KERB, z0),
                (x + out * 0.2, height + 0.3, z0),
                (x - out * 0.15, height + 0.3, z0),
            ],
        )


def _blocks(
    stage: Stage, x: float, normal: Point3, span: Span, height: float, rgb: Rgb, rng: np.random.Generator
) -> None:
    """Courses of stone: joints, and some stones of another tone."""
    joint = stage.paint(labels.WALL, scaled(rgb, 0.74), normal, span[0], 0.5)
    tones = [stage.paint(labels.WALL, scaled(rgb, f), normal, span[0], 0.7) for f in (0.86, 0.93, 1.08)]
    course = 0.38
    width = 0.05 if span[0] < 14 else 0.08
    length = (span[1] - span[0]) / 6
    for row in range(int((height - KERB) / course)):
        y = KERB + row * course
        stage.fill(joint, sheet(x, y, y + width, *span))
        start = span[0] + (row % 2) * length / 2
        for i in range(6):
            z = start + i * length
            if chance(rng, 0.35):
                stage.fill(pick(rng, tones), sheet(x, y + width, y + course, z, min(z + length * 0.93, span[1])))


def _fence(stage: Stage, side: Side, span: Span, rng: np.random.Generator) -> None:
    """Iron bars, a wire mesh or wooden pickets; gaps count as fence."""
    style = pick(rng, ("bars", "mesh", "wood"))
    height = between(rng, 1.3, 1.9)
    irons: tuple[Rgb, ...] = ((48.0, 52.0, 54.0), (62.0, 88.0, 66.0), (150.0, 152.0, 154.0))
    woods: tuple[Rgb, ...] = ((150.0, 116.0, 82.0), (206.0, 200.0, 190.0), (120.0, 88.0, 64.0))
    rgb = vary(rng, pick(rng, woods if style == "wood" else irons), 10)
    x, normal = side.walk, (-side.sign, 0.0, 0.0)
    opacity = {"bars": 0.25, "mesh": 0.45, "wood": 0.35}[style]
    step, width = {"bars": (0.42, 0.12), "mesh": (2.4, 0.16), "wood": (0.34, 0.2)}[style]
    for z0, z1 in _cells(span, 4.8):
        veil = stage.light.on(rgb, normal)
        stage.canvas.glaze(labels.FENCE, veil, opacity, z0, stage.project(sheet(x, KERB, height, z0, z1)))
        part = stage.paint(labels.FENCE, rgb, normal, z0, 0.2)
        dark = stage.paint(labels.FENCE, scaled(rgb, 0.72), normal, z0, 0.2)
        for y in (0.35, height - 0.16) if style != "mesh" else (height - 0.08,):
            stage.fill(part, sheet(x, y, y + 0.1, z0, z1))
        # Far bars would be thinner than a pixel: draw fewer and broader ones.
        coarse = max(1.0, z0 / 11.0)
        for p0, _ in _cells((z0, z1), step * coarse):
            top = height + (0.1 if style == "wood" else 0.0)
            stage.fill(part, sheet(x, KERB, top, p0, p0 + width * coarse))
            if style == "wood":
                stage.fill(dark, sheet(x, KERB, top, p0 + width * 0.8 * coarse, p0 + width * coarse))
        if style == "mesh":
            for k in range(1, 6):
                y = KERB + (height - KERB) * k / 6
                stage.fill(dark, sheet(x, y, y + 0.03 * coarse, z0, z1))
        stage.fill(dark, sheet(x - side.sign * 0.05, KERB, height + 0.15, z0, z0 + 0.16 * coarse))


def _hedge(stage: Stage, side: Side, span: Span, rng: np.random.Generator) -> None:
    """A cut hedge: a green block with tufts."""
    height, rgb = between(rng, 1.1, 1.8), leaf_colour(rng)
    x, out = side.walk, side.sign
    normal = (-out, 0.0, 0.0)
    stage.cast([(x, KERB, span[0]), (x, KERB, span[1]), (x, height, span[0]), (x, height, span[1])])
    for z0, z1 in _cells(span, 4.0):
        top = stage.paint(labels.VEGETATION, scaled(rgb, 1.05), UP, z0, 0.9)
        stage.fill(top, [(x, height, z0), (x, height, z1), (x + out, height, z1), (x + out, height, z0)])
        stage.fill(stage.paint(labels.VEGETATION, scaled(rgb, 0.85), normal, z0, 0.9), sheet(x, KERB, height, z0, z1))
        end = stage.paint(labels.VEGETATION, scaled(rgb, 0.8), BACK, z0, 0.9)
        stage.fill(end, [(x, KERB, z0), (x + out, KERB, z0), (x + out, height, z0), (x, height, z0)])
        for _ in range(14):
            tone = stage.paint(labels.VEGETATION, scaled(rgb, between(rng, 0.65, 1.2)), normal, z0, 0.9)
            z, y = between(rng, z0, z1), between(rng, KERB + 0.1, height)
            s = between(rng, 0.1, 0.3)
            stage.fill(tone, [(x, y - s, z), (x, y, z - s), (x, y + s * 0.7, z), (x, y, z + s)])

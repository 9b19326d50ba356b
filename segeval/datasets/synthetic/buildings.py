"""Houses: facades with windows, doors, shops, balconies and roofs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segeval.datasets.synthetic import labels
from segeval.datasets.synthetic.camera import Point3
from segeval.datasets.synthetic.sampling import Rgb, between, chance, pick, scaled, vary
from segeval.datasets.synthetic.stage import BACK, Stage

_PLASTER: tuple[Rgb, ...] = (
    (206.0, 194.0, 172.0),
    (190.0, 150.0, 118.0),
    (172.0, 120.0, 98.0),
    (214.0, 206.0, 196.0),
    (168.0, 170.0, 172.0),
    (196.0, 176.0, 120.0),
    (150.0, 160.0, 150.0),
    (142.0, 100.0, 84.0),
    (176.0, 164.0, 170.0),
    (128.0, 132.0, 140.0),
)
_SHOPS: tuple[Rgb, ...] = (
    (150.0, 52.0, 46.0),
    (42.0, 84.0, 70.0),
    (52.0, 64.0, 110.0),
    (196.0, 150.0, 60.0),
    (70.0, 66.0, 64.0),
)
_ROOFS: tuple[Rgb, ...] = ((140.0, 82.0, 62.0), (96.0, 92.0, 94.0), (118.0, 72.0, 58.0), (84.0, 88.0, 98.0))


@dataclass(frozen=True)
class Style:
    """What all faces of one house share."""

    wall: Rgb
    trim: Rgb
    glass: Rgb
    floor: float
    bay: float
    tall: float
    """Share of a floor's height that is window."""
    wide: float
    """Share of a bay's width that is window."""
    shop: Rgb | None
    brick: bool
    balconies: bool


def sample_style(rng: np.random.Generator) -> Style:
    """A facade: plaster, brick or glass; old or new."""
    wall = vary(rng, pick(rng, _PLASTER), 14)
    return Style(
        wall=wall,
        trim=pick(rng, ((232.0, 228.0, 220.0), scaled(wall, 1.2), scaled(wall, 0.65))),
        glass=vary(rng, pick(rng, ((70.0, 84.0, 100.0), (54.0, 60.0, 68.0), (98.0, 116.0, 132.0))), 8),
        floor=between(rng, 2.7, 3.5),
        bay=between(rng, 2.0, 3.2),
        tall=between(rng, 0.45, 0.68),
        wide=between(rng, 0.36, 0.72),
        shop=pick(rng, _SHOPS) if chance(rng, 0.45) else None,
        brick=chance(rng, 0.4),
        balconies=chance(rng, 0.25),
    )


class Plane:
    """A wall of a house: (along, up) metres to street points, all of one label."""

    def __init__(self, stage: Stage, corner: Point3, along: Point3, normal: Point3) -> None:
        self.stage = stage
        self.corner = corner
        self.along = along
        self.normal = normal
        self._parts: dict[tuple[Rgb, bool], int] = {}

    def rect(self, a0: float, a1: float, b0: float, b1: float, rgb: Rgb, glow: bool = False) -> None:
        """A rectangle of the wall in this colour."""
        self.poly([(a0, b0), (a1, b0), (a1, b1), (a0, b1)], rgb, glow)

    def poly(self, points: Sequence[tuple[float, float]], rgb: Rgb, glow: bool = False) -> None:
        """A polygon of the wall in this colour."""
        key = (rgb, glow)
        if key not in self._parts:
            lit = rgb if glow else self.stage.light.on(rgb, self.normal)
            self._parts[key] = self.stage.canvas.part(labels.BUILDING, lit, self.corner[2], 0.3)
        x, y, z = self.corner
        dx, _, dz = self.along
        self.stage.fill(self._parts[key], [(x + a * dx, y + b, z + a * dz) for a, b in points])


def draw_house(
    stage: Stage, x: float, z0: float, z1: float, sign: float, height: float, rng: np.random.Generator
) -> None:
    """A house whose front stands at x along the street from z0 to z1, on side `sign`."""
    style = sample_style(rng)
    depth = between(rng, 8, 12)
    end = Plane(stage, (x, 0.0, z0), (sign, 0.0, 0.0), BACK)
    front = Plane(stage, (x, 0.0, z0), (0.0, 0.0, 1.0), (-sign, 0.0, 0.0))
    if chance(rng, 0.5):
        _gable_roof(stage, (x, z0, z1, sign), height, depth, style, rng)
    _facade(end, depth, height, style, rng, plain=chance(rng, 0.5))
    _facade(front, z1 - z0, height, style, rng)
    stage.cast([(x, 0.0, z0), (x, 0.0, z1), (x, height, z0), (x, height, z1)])


def draw_front(stage: Stage, x0: float, x1: float, z: float, height: float, rng: np.random.Generator) -> None:
    """A house that faces the camera across the end of the street."""
    style = sample_style(rng)
    plane = Plane(stage, (x0, 0.0, z), (1.0, 0.0, 0.0), BACK)
    if chance(rng, 0.6):
        roof = vary(rng, pick(rng, _ROOFS), 10)
        width = x1 - x0
        plane.poly([(0, height), (width, height), (width * 0.9, height + 2.5), (width * 0.1, height + 2.5)], roof)
    _facade(plane, x1 - x0, height, style, rng)


def _facade(
    plane: Plane, width: float, height: float, style: Style, rng: np.random.Generator, plain: bool = False
) -> None:
    plane.rect(0, width, 0, height, style.wall)
    if style.brick:
        _bricks(plane, width, height, style, rng)
    floors = max(int(height / style.floor), 1)
    bays = max(int(width / style.bay), 1)
    bay = width / bays
    plane.rect(0, width, 0, 0.5, scaled(style.wall, 0.7))
    for floor in range(floors):
        base = floor * style.floor
        if floor == 0 and style.shop is not None and not plain:
            _shop(plane, width, style, style.shop, rng)
            continue
        for i in range(bays):
            middle = (i + 0.5) * bay
            if plain and i % 2:
                continue
            if floor == 0 and i == bays // 2:
                _door(plane, middle, style, rng)
            else:
                _window(plane, middle, base, bay, style, rng)
        if style.balconies and floor > 0 and not plain:
            _balcony(plane, (floor % bays + 0.5) * bay, base, bay, style)
    plane.rect(0, width, height - 0.35, height, style.trim)
    plane.rect(0, width, height - 0.5, height - 0.35, scaled(style.wall, 0.7))


def _window(plane: Plane, middle: float, base: float, bay: float, style: Style, rng: np.random.Generator) -> None:
    half = bay * style.wide / 2
    y0 = base + style.floor * (0.86 - style.tall)
    y1 = base + style.floor * 0.86
    plane.rect(middle - half - 0.12, middle + half + 0.12, y0 - 0.12, y1 + 0.12, style.trim)
    lit = chance(rng, plane.stage.light.dusk)
    glass: Rgb = (246.0, 208.0, 130.0) if lit else scaled(style.glass, pick(rng, (0.8, 1.0, 1.15)))
    plane.rect(middle - half, middle + half, y0, y1, glass, lit)
    if not lit:
        # The upper part mirrors the sky.
        bright = pick(rng, (1.25, 1.5))
        plane.poly(
            [
                (middle - half, y1),
                (middle + half, y1),
                (middle + half, (y0 + y1) / 2),
                (middle - half, y0 + (y1 - y0) * 0.7),
            ],
            scaled(style.glass, bright),
        )
    plane.rect(middle - 0.05, middle + 0.05, y0, y1, style.trim)
    plane.rect(middle - half - 0.2, middle + half + 0.2, y0 - 0.24, y0 - 0.1, scaled(style.trim, 0.82))


def _door(plane: Plane, middle: float, style: Style, rng: np.random.Generator) -> None:
    wood = pick(rng, ((96.0, 64.0, 44.0), (58.0, 74.0, 66.0), (60.0, 58.0, 66.0), (128.0, 52.0, 44.0)))
    plane.rect(middle - 0.8, middle + 0.8, 0, 2.6, style.trim)
    plane.rect(middle - 0.62, middle + 0.62, 0, 2.1, wood)
    plane.rect(middle - 0.62, middle + 0.62, 2.15, 2.5, style.glass)
    plane.rect(middle - 0.45, middle - 0.08, 0.3, 1.9, scaled(wood, 1.25))
    plane.rect(middle + 0.08, middle + 0.45, 0.3, 1.9, scaled(wood, 1.25))


def _shop(plane: Plane, width: float, style: Style, rgb: Rgb, rng: np.random.Generator) -> None:
    """Shop windows under a name board and an awning."""
    top = style.floor * 0.92
    plane.rect(0.2, width - 0.2, 0, top, scaled(rgb, 0.8))
    count = max(int(width / 2.6), 1)
    size = (width - 0.6) / count
    lit = plane.stage.light.dusk > 0
    for i in range(count):
        a0, a1 = 0.3 + i * size + 0.12, 0.3 + (i + 1) * size - 0.12
        door = chance(rng, 0.25)
        pane: Rgb = (238.0, 206.0, 140.0) if lit and chance(rng, 0.6) else scaled(style.glass, 0.9)
        plane.rect(a0, a1, 0.1 if door else 0.55, top - 0.75, pane, pane[0] > 200)
        if pane[0] < 200:
            plane.poly([(a0, top - 0.75), (a0 + size * 0.4, top - 0.75), (a0, top - 1.6)], scaled(style.glass, 1.4))
    plane.rect(0.2, width - 0.2, top - 0.62, top - 0.05, rgb)
    a = 0.8
    while a < width - 1.2:
        # Something like lettering.
        plane.rect(a, a + between(rng, 0.15, 0.4), top - 0.48, top - 0.2, (236.0, 230.0, 214.0))
        a += between(rng, 0.35, 0.7)
    if chance(rng, 0.5):
        stripes = max(int(width / 0.7), 2)
        for i in range(stripes):
            shade = rgb if i % 2 else (228.0, 222.0, 212.0)
            a0 = 0.2 + (width - 0.4) * i / stripes
            plane.rect(a0, a0 + (width - 0.4) / stripes, top - 1.05, top - 0.6, shade)


def _balcony(plane: Plane, middle: float, base: float, bay: float, style: Style) -> None:
    half = bay * 0.44
    plane.rect(middle - half, middle + half, base + 0.0, base + 0.14, scaled(style.trim, 0.8))
    plane.rect(middle - half, middle + half, base + 0.9, base + 1.0, (52.0, 52.0, 56.0))
    for i in range(7):
        a = middle - half + 2 * half * i / 6
        plane.rect(a - 0.03, a + 0.03, base + 0.1, base + 0.95, (52.0, 52.0, 56.0))


def _bricks(plane: Plane, width: float, height: float, style: Style, rng: np.random.Generator) -> None:
    """Single bricks of other tones; courses only where they are wide enough to be seen."""
    tones = [scaled(style.wall, f) for f in (0.84, 0.91, 1.07, 1.13)]
    course = 0.3
    if plane.corner[2] < 16:
        for row in range(int(height / course)):
            plane.rect(0, width, row * course, row * course + 0.05, scaled(style.wall, 0.86))
    spots = rng.random((int(width * height * 0.4), 2)).tolist()
    for i, (a, b) in enumerate(spots):
        y = int(b * height / course) * course
        x = a * (width - 0.6)
        plane.rect(x, x + 0.55, y + 0.05, y + course, tones[i % 4])


def _gable_roof(
    stage: Stage,
    place: tuple[float, float, float, float],
    height: float,
    depth: float,
    style: Style,
    rng: np.random.Generator,
) -> None:
    """A roof whose ridge runs along the street: the slope to the street and the gable."""
    x, z0, z1, sign = place
    rise = between(rng, 2.0, 3.2)
    rgb = vary(rng, pick(rng, _ROOFS), 10)
    ridge = x + sign * depth / 2
    tilt = rise / (rise + depth / 2)
    slope = stage.paint(labels.BUILDING, rgb, (-sign * tilt, 1 - tilt, 0.0), z0, 0.6)
    stage.fill(
        slope,
        [
            (x - sign * 0.3, height - 0.1, z0),
            (x - sign * 0.3, height - 0.1, z1),
            (ridge, height + rise, z1),
            (ridge, height + rise, z0),
        ],
    )
    gable = stage.paint(labels.BUILDING, style.wall, BACK, z0, 0.3)
    stage.fill(gable, [(x, height, z0), (x + sign * depth, height, z0), (ridge, height + rise, z0)])
    if chance(rng, 0.6):
        z, r = between(rng, z0 + 1, z1 - 1), between(rng, 0.3, 0.6)
        chimney = stage.paint(labels.BUILDING, scaled(rgb, 0.9), BACK, z0, 0.4)
        x0, y0 = ridge - sign * 1.0, height + rise * 0.6
        stage.fill(chimney, [(x0 - r, y0, z), (x0 + r, y0, z), (x0 + r, y0 + 2.0, z), (x0 - r, y0 + 2.0, z)])

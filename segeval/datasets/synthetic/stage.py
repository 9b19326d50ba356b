"""The stage: camera, canvas and light together, with the drawing functions that need all three."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from segeval.datasets.synthetic.camera import Camera, Point, Point3
from segeval.datasets.synthetic.canvas import Canvas
from segeval.datasets.synthetic.light import Light
from segeval.datasets.synthetic.sampling import Rgb

UP: Point3 = (0.0, 1.0, 0.0)
BACK: Point3 = (0.0, 0.0, -1.0)


@dataclass(frozen=True)
class Stage:
    """Where a scene is drawn. The camera is that of the canvas's 2x buffer."""

    camera: Camera
    canvas: Canvas
    light: Light

    def project(self, points: Sequence[Point3]) -> list[Point]:
        """Street points (m) to buffer pixels."""
        return [self.camera.project(*p) for p in points]

    def paint(self, label: int, rgb: Rgb, normal: Point3, depth: float, grain: float = 0.0) -> int:
        """A part lit as a surface with this outward normal."""
        return self.canvas.part(label, self.light.on(rgb, normal), depth, grain)

    def fill(self, part: int, points: Sequence[Point3]) -> None:
        """Draw a polygon given in the street."""
        self.canvas.fill(part, self.project(points))

    def cast(self, points: Sequence[Point3], ground: float = 0.0) -> None:
        """The sun's shadow of the convex hull of `points` on the ground at that height."""
        sx, sy, sz = self.light.sun
        fallen = []
        for x, y, z in points:
            drop = min(max(y - ground, 0.0) / sy, 14.0)
            fallen.append((x - sx * drop, max(z - sz * drop, 1.2)))
        seen = [self.camera.project(x, ground, z) for x, z in hull(fallen)]
        if len(seen) > 2:
            self.canvas.shade(self.canvas.sun_shadow, 1.0, seen)

    def rest(self, points: Sequence[Point], ground: float = 0.0) -> None:
        """The dark where something touches the ground; `points` are (x, z)."""
        seen = [self.camera.project(x, ground, z) for x, z in hull(points)]
        if len(seen) > 2:
            self.canvas.shade(self.canvas.contact_shadow, 1.0, seen)


class Board:
    """An upright plane in the street on which flat figures are drawn.

    Coordinates on it are (along, up) in metres from its origin. `turn` is the
    angle in radians by which the plane is turned away from facing the camera;
    `flip` mirrors it left to right.
    """

    def __init__(
        self, stage: Stage, label: int, origin: Point3, turn: float = 0.0, flip: bool = False, size: float = 1.0
    ) -> None:
        self.stage = stage
        self.label = label
        self.depth = origin[2]
        self._origin = origin
        sign = -size if flip else size
        self._along = (sign * math.cos(turn), sign * math.sin(turn))
        self._size = size
        # Which way the sun stands on the board; decides the lit side of round things.
        self.sunny = 1.0 if stage.light.sun[0] * sign >= 0 else -1.0

    def place(self, a: float, b: float) -> Point3:
        """The street point at (along, up)."""
        x, y, z = self._origin
        return (x + a * self._along[0], y + b * self._size, z + a * self._along[1])

    def poly(self, points: Sequence[Point], rgb: Rgb, lit: bool = True, label: int | None = None) -> None:
        """Draw a polygon in light (`lit`) or on the shady side."""
        colour = self.stage.light.on_round(rgb, lit)
        self.glow(points, colour, label)

    def glow(self, points: Sequence[Point], rgb: Rgb, label: int | None = None) -> None:
        """Draw a polygon in exactly this colour (lamps)."""
        part = self.stage.canvas.part(self.label if label is None else label, rgb, self.depth, 0.12)
        self.stage.fill(part, [self.place(a, b) for a, b in points])

    def glaze(self, points: Sequence[Point], rgb: Rgb, opacity: float) -> None:
        """Draw a see-through polygon."""
        seen = self.stage.project([self.place(a, b) for a, b in points])
        self.stage.canvas.glaze(self.label, self.stage.light.on_round(rgb, True), opacity, self.depth, seen)

    def limb(self, a: Point, b: Point, ra: float, rb: float, rgb: Rgb) -> None:
        """A round limb from `a` to `b` with end radii `ra`, `rb`: shady body, sunny side."""
        self.poly(capsule(a, b, ra, rb), rgb, False)
        da, db = self.sunny * ra * 0.3, self.sunny * rb * 0.3
        self.poly(capsule((a[0] + da, a[1]), (b[0] + db, b[1]), ra * 0.68, rb * 0.68), rgb, True)


def capsule(a: Point, b: Point, ra: float, rb: float, steps: int = 4) -> list[Point]:
    """Outline of a stroke from `a` to `b` with round ends."""
    angle = math.atan2(b[1] - a[1], b[0] - a[0])
    points = []
    for i in range(steps + 1):
        t = angle + math.pi * (0.5 + i / steps)
        points.append((a[0] + ra * math.cos(t), a[1] + ra * math.sin(t)))
    for i in range(steps + 1):
        t = angle + math.pi * (-0.5 + i / steps)
        points.append((b[0] + rb * math.cos(t), b[1] + rb * math.sin(t)))
    return points


def disc(centre: Point, ra: float, rb: float, steps: int = 14) -> list[Point]:
    """Outline of an ellipse."""
    turns = [2 * math.pi * i / steps for i in range(steps)]
    return [(centre[0] + ra * math.cos(t), centre[1] + rb * math.sin(t)) for t in turns]


def ring(centre: Point, outer: float, inner: float) -> list[Point]:
    """Outline of a ring, cut open at one place so that it is one polygon."""
    out, inn = (disc(centre, radius, radius, 18) for radius in (outer, inner))
    return [*out, out[0], inn[0], *reversed(inn)]


def hull(points: Sequence[Point]) -> list[Point]:
    """Convex hull (Andrew's monotone chain)."""
    ordered = sorted(set(points))

    def chain(run: Sequence[Point]) -> list[Point]:
        kept: list[Point] = []
        for p in run:
            while len(kept) > 1 and _turn(kept[-2], kept[-1], p) <= 0:
                kept.pop()
            kept.append(p)
        return kept[:-1]

    return chain(ordered) + chain(ordered[::-1])


def _turn(o: Point, a: Point, b: Point) -> float:
    return (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0])

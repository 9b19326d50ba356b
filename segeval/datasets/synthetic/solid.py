"""Convex-ish solids made of flat faces with details painted on them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import fsum

from segeval.datasets.synthetic.camera import Point, Point3
from segeval.datasets.synthetic.sampling import Rgb
from segeval.datasets.synthetic.stage import Stage


@dataclass
class Detail:
    """A polygon on a face. `glow` colours are not shaded (lamps)."""

    points: Sequence[Point3]
    rgb: Rgb
    glow: bool = False


@dataclass
class Face:
    """A flat polygon in the solid's own (along, across, up) metres, with details on it."""

    points: Sequence[Point3]
    rgb: Rgb
    details: list[Detail] = field(default_factory=list)


@dataclass
class Solid:
    """Faces of one thing of one class, turned by `yaw` about the upright axis.

    With `yaw` 0 its front looks away from the camera (the rear is seen).
    """

    label: int
    x: float
    y: float
    z: float
    yaw: float
    faces: list[Face] = field(default_factory=list)

    def world(self, p: Point3) -> Point3:
        """(along, across, up) to street (x, y, z)."""
        s, c = math.sin(self.yaw), math.cos(self.yaw)
        return (self.x + p[0] * s + p[1] * c, self.y + p[2], self.z + p[0] * c - p[1] * s)

    def draw(self, stage: Stage) -> None:
        """Draw the faces that look at the camera, far ones first."""
        placed = [[self.world(p) for p in face.points] for face in self.faces]
        middle = _mean([p for points in placed for p in points])
        eye = (0.0, stage.camera.view.height, 0.0)
        seen = []
        for face, points in zip(self.faces, placed, strict=True):
            centre = _mean(points)
            normal = _outward(points, centre, middle)
            # The bend of the street moves things sideways; the eye looks at the moved place.
            shift = 0.5 * stage.camera.view.bend * centre[2] ** 2
            gaze = (eye[0] - centre[0] - shift, eye[1] - centre[1], eye[2] - centre[2])
            if _dot(gaze, normal) > 0:
                seen.append((_dot(gaze, gaze), face, points, normal))
        for _, face, points, normal in sorted(seen, key=lambda entry: -entry[0]):
            self._draw_face(stage, face, points, normal)

    def _draw_face(self, stage: Stage, face: Face, points: list[Point3], normal: Point3) -> None:
        depth = min(p[2] for p in points)
        stage.fill(stage.paint(self.label, face.rgb, normal, depth, 0.06), points)
        for detail in face.details:
            if detail.glow:
                part = stage.canvas.part(self.label, detail.rgb, depth)
            else:
                part = stage.paint(self.label, detail.rgb, normal, depth)
            stage.fill(part, [self.world(p) for p in detail.points])

    def shadow(self, stage: Stage) -> None:
        """Its shadow on the ground and the dark beneath it."""
        points = [self.world(p) for face in self.faces for p in face.points]
        stage.cast(points, self.y)
        stage.rest([(p[0], p[2]) for p in points], self.y)


def box(l0: float, l1: float, half: float, y0: float, y1: float, rgb: Rgb) -> dict[str, Face]:
    """The six faces but the bottom of a box: rear, front, left, right, top."""
    return {
        "rear": Face(_across(l0, half, y0, y1), rgb),
        "front": Face(_across(l1, half, y0, y1), rgb),
        "left": Face(along(l0, l1, -half, y0, y1), rgb),
        "right": Face(along(l0, l1, half, y0, y1), rgb),
        "top": Face([(l0, -half, y1), (l0, half, y1), (l1, half, y1), (l1, -half, y1)], rgb),
    }


def along(l0: float, l1: float, w: float, y0: float, y1: float) -> list[Point3]:
    """A rectangle on the side at `w`, from `l0` to `l1`."""
    return [(l0, w, y0), (l1, w, y0), (l1, w, y1), (l0, w, y1)]


def across(at: float, w0: float, w1: float, y0: float, y1: float) -> list[Point3]:
    """A rectangle across the solid at `at`, from `w0` to `w1`."""
    return [(at, w0, y0), (at, w1, y0), (at, w1, y1), (at, w0, y1)]


def wheel(at: float, w: float, radius: float, share: float = 1.0) -> list[Point3]:
    """A disc standing on the ground on the side at `w`; `share` of the radius is drawn."""
    turns = [2 * math.pi * i / 14 for i in range(14)]
    r = radius * share
    return [(at + r * math.cos(t), w, radius + r * math.sin(t)) for t in turns]


def flat(points: Sequence[Point], w: float) -> list[Point3]:
    """(along, up) points set on the side at `w`."""
    return [(a, w, b) for a, b in points]


def _across(at: float, half: float, y0: float, y1: float) -> list[Point3]:
    return across(at, -half, half, y0, y1)


def _mean(points: Sequence[Point3]) -> Point3:
    n = len(points)
    # fsum, because the rounding of sum differs between versions of Python.
    return (fsum(p[0] for p in points) / n, fsum(p[1] for p in points) / n, fsum(p[2] for p in points) / n)


def _dot(a: Point3, b: Point3) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _outward(points: Sequence[Point3], centre: Point3, middle: Point3) -> Point3:
    """Unit normal of a face, turned away from the solid's middle."""
    a, b, c = points[0], points[1], points[2]
    u = (b[0] - a[0], b[1] - a[1], b[2] - a[2])
    v = (c[0] - a[0], c[1] - a[1], c[2] - a[2])
    n = (u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0])
    length = math.sqrt(_dot(n, n)) or 1.0
    away = (centre[0] - middle[0], centre[1] - middle[1], centre[2] - middle[2])
    sign = 1.0 if _dot(n, away) >= 0 else -1.0
    return (sign * n[0] / length, sign * n[1] / length, sign * n[2] / length)

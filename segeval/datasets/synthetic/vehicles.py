"""Cars: saloons, hatchbacks, estates and vans."""

import math

from segeval.datasets.synthetic import labels
from segeval.datasets.synthetic.camera import Point, Point3
from segeval.datasets.synthetic.sampling import Rgb, between, generator, pick, scaled, vary
from segeval.datasets.synthetic.scene_layout import Item
from segeval.datasets.synthetic.solid import Detail, Face, Solid, across, flat, wheel
from segeval.datasets.synthetic.stage import Stage

PAINTS: tuple[Rgb, ...] = (
    (196.0, 198.0, 202.0),
    (120.0, 124.0, 128.0),
    (48.0, 50.0, 54.0),
    (226.0, 226.0, 222.0),
    (150.0, 40.0, 38.0),
    (52.0, 78.0, 128.0),
    (72.0, 98.0, 66.0),
    (148.0, 116.0, 80.0),
    (198.0, 160.0, 60.0),
    (86.0, 110.0, 130.0),
)
GLASS: Rgb = (58.0, 68.0, 80.0)
TYRE: Rgb = (34.0, 34.0, 36.0)
RIM: Rgb = (160.0, 162.0, 166.0)
RED: Rgb = (168.0, 30.0, 28.0)
LAMP: Rgb = (240.0, 240.0, 226.0)

# Where the cabin begins and ends: (rear window foot, roof rear, roof front,
# windscreen foot) as shares of the length from the middle, and the roof's height.
_SHAPES: dict[str, tuple[float, float, float, float, float]] = {
    "saloon": (-0.36, -0.22, 0.06, 0.22, 1.45),
    "hatch": (-0.49, -0.36, 0.08, 0.25, 1.52),
    "estate": (-0.495, -0.44, 0.08, 0.24, 1.50),
    "suv": (-0.495, -0.42, 0.10, 0.26, 1.72),
    "van": (-0.498, -0.47, 0.22, 0.36, 1.95),
}


def car(stage: Stage, item: Item) -> None:
    """A car of any shape and colour."""
    rng = generator(item.seed)
    rgb = vary(rng, pick(rng, PAINTS), 10)
    shape = _SHAPES[pick(rng, ("saloon", "saloon", "hatch", "hatch", "estate", "suv", "van"))]
    length, half = between(rng, 4.0, 4.6), between(rng, 0.86, 0.93)
    solid = Solid(labels.CAR, item.x, item.ground, item.z, item.yaw)
    solid.faces = _body(length, half, shape, rgb)
    solid.shadow(stage)
    solid.draw(stage)


def _body(length: float, half: float, shape: tuple[float, float, float, float, float], rgb: Rgb) -> list[Face]:
    tail, nose = -length / 2, length / 2
    foot, rear, front, screen = (share * length for share in shape[:4])
    belt, roof, in_ = 0.95 if shape[4] < 1.7 else 1.08, shape[4], half * 0.80
    hood = belt - 0.12

    def cross(a: float, wa: float, ya: float, b: float, wb: float, yb: float) -> list[Point3]:
        return [(a, -wa, ya), (a, wa, ya), (b, wb, yb), (b, -wb, yb)]

    faces = [
        _rear(tail, half, belt, rgb),
        _front(nose, half, hood, rgb),
        Face(cross(tail, half, belt, foot, half, belt), rgb),
        Face(cross(screen, half, belt, nose, half, hood), rgb),
        Face(cross(rear, in_, roof, front, in_, roof), rgb),
        Face(
            cross(foot, half, belt, rear, in_, roof),
            rgb,
            _pane(cross(foot, half, belt, rear, in_, roof), 0.1),
        ),
        Face(
            cross(front, in_, roof, screen, half, belt),
            rgb,
            _pane(cross(front, in_, roof, screen, half, belt), 0.07),
        ),
    ]
    for w in (-half, half):
        faces += _side(w, w * 0.8, (tail, foot, rear, front, screen, nose), (belt, hood, roof), rgb)
    return faces


def _pane(quad: list[Point3], margin: float) -> list[Detail]:
    """Glass inside the frame of a quad, its upper part brighter (sky)."""
    cx = [math.fsum(p[i] for p in quad) / 4 for i in range(3)]
    keep = 1 - 2 * margin
    glass: list[Point3] = [
        (cx[0] + (p[0] - cx[0]) * keep, cx[1] + (p[1] - cx[1]) * keep, cx[2] + (p[2] - cx[2]) * keep) for p in quad
    ]
    high = sorted(glass, key=lambda p: -p[2])[:2]
    low = sorted(glass, key=lambda p: p[2])[:2]
    if (high[0][1] - high[1][1]) * (low[0][1] - low[1][1]) < 0:
        low.reverse()
    shine = [high[0], high[1], *(_between(low[i], high[i], 0.45) for i in (1, 0))]
    return [Detail(glass, GLASS), Detail(shine, scaled(GLASS, 1.55))]


def _between(a: Point3, b: Point3, share: float) -> Point3:
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)


def _ends(at: float, half: float, rgb: Rgb) -> list[Detail]:
    """What front and rear share: tyres, the dark gap between them, bumper, plate."""
    return [
        Detail(across(at, -half * 0.95, -half * 0.68, 0.0, 0.4), TYRE),
        Detail(across(at, half * 0.68, half * 0.95, 0.0, 0.4), TYRE),
        Detail(across(at, -half, half, 0.2, 0.36), (30.0, 30.0, 32.0)),
        Detail(across(at, -half, half, 0.36, 0.52), scaled(rgb, 0.72)),
        Detail(across(at, -0.27, 0.27, 0.45, 0.57), (228.0, 228.0, 216.0)),
    ]


def _rear(at: float, half: float, belt: float, rgb: Rgb) -> Face:
    face = Face(across(at, -half, half, 0.26, belt), rgb, _ends(at, half, rgb))
    for sign in (-1, 1):
        lamp = across(at, sign * half * 0.62, sign * half * 0.97, belt - 0.32, belt - 0.08)
        face.details.append(Detail(lamp, RED))
        inner = across(at, sign * half * 0.66, sign * half * 0.8, belt - 0.28, belt - 0.14)
        face.details.append(Detail(inner, (230.0, 90.0, 70.0)))
    face.details.append(Detail(across(at, -half, half, belt - 0.42, belt - 0.4), scaled(rgb, 0.6)))
    return face


def _front(at: float, half: float, hood: float, rgb: Rgb) -> Face:
    face = Face(across(at, -half, half, 0.26, hood), rgb, _ends(at, half, rgb))
    face.details.append(Detail(across(at, -half * 0.5, half * 0.5, hood - 0.26, hood - 0.07), (40.0, 40.0, 42.0)))
    for sign in (-1, 1):
        lamp = across(at, sign * half * 0.58, sign * half * 0.96, hood - 0.27, hood - 0.06)
        face.details.append(Detail(lamp, LAMP, True))
        shade = across(at, sign * half * 0.58, sign * half * 0.66, hood - 0.27, hood - 0.06)
        face.details.append(Detail(shade, (150.0, 154.0, 158.0)))
    return face


def _side(w: float, win: float, ls: tuple[float, ...], ys: tuple[float, float, float], rgb: Rgb) -> list[Face]:
    tail, foot, rear, front, screen, nose = ls
    belt, hood, roof = ys
    outline: list[Point] = [(tail, 0.3), (nose, 0.3), (nose, hood), (screen, belt), (tail, belt)]
    lower = Face(flat(outline, w), rgb)
    lower.details.append(Detail(flat([(tail, 0.2), (nose, 0.2), (nose, 0.36), (tail, 0.36)], w), (36.0, 36.0, 38.0)))
    lower.details.append(Detail(flat([(tail, 0.68), (nose, 0.62), (nose, 0.65), (tail, 0.71)], w), scaled(rgb, 0.75)))
    for at in (tail * 0.62, nose * 0.62):
        for share, tone in ((1.12, (26.0, 26.0, 28.0)), (1.0, TYRE), (0.62, RIM), (0.2, TYRE)):
            lower.details.append(Detail(wheel(at, w, 0.33, share), tone))
    door = (rear + front) / 2
    for at in (door, front + 0.12):
        line = flat([(at, 0.4), (at + 0.03, 0.4), (at + 0.03, belt), (at, belt)], w)
        lower.details.append(Detail(line, scaled(rgb, 0.65)))
    lower.details.append(
        Detail(
            flat([(tail, belt - 0.3), (tail + 0.25, belt - 0.3), (tail + 0.2, belt - 0.08), (tail, belt - 0.08)], w),
            RED,
        )
    )
    lower.details.append(
        Detail(
            flat([(nose, hood - 0.26), (nose - 0.3, hood - 0.2), (nose - 0.3, hood - 0.06), (nose, hood - 0.06)], w),
            LAMP,
        )
    )
    cabin: list[Point3] = [(foot, w, belt), (screen, w, belt), (front, win, roof), (rear, win, roof)]
    upper = Face(cabin, rgb, _pane(cabin, 0.07))
    pillar: list[Point3] = [
        (door - 0.04, w, belt),
        (door + 0.06, w, belt),
        (door + 0.06, win, roof),
        (door - 0.04, win, roof),
    ]
    upper.details.append(Detail(pillar, scaled(rgb, 0.8)))
    return [lower, upper]

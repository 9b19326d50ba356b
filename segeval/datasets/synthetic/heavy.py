"""Trucks, buses and trams."""

from itertools import pairwise

import numpy as np

from segeval.datasets.synthetic import labels
from segeval.datasets.synthetic.sampling import Rgb, between, chance, generator, pick, scaled, vary
from segeval.datasets.synthetic.scene_layout import Item
from segeval.datasets.synthetic.solid import Detail, Face, Solid, across, along, box, wheel
from segeval.datasets.synthetic.stage import Stage
from segeval.datasets.synthetic.vehicles import GLASS, LAMP, PAINTS, RED, RIM, TYRE

_DARK: Rgb = (38.0, 38.0, 42.0)


def truck(stage: Stage, item: Item) -> None:
    """A cab with a cargo box or a tarpaulin behind it, open below."""
    rng = generator(item.seed)
    half, top = 1.2, between(rng, 3.0, 3.4)
    paint = vary(rng, pick(rng, PAINTS), 10)
    cargo_rgb = vary(rng, pick(rng, ((224.0, 222.0, 216.0), *PAINTS)), 10)
    cargo = box(-3.8, 1.7, half, 0.95, top, cargo_rgb)
    cab = box(2.0, 3.8, half * 0.96, 0.5, 2.55, paint)
    _cargo_details(cargo, half, top, cargo_rgb, rng)
    _cab_details(cab, half * 0.96, paint)
    chassis = box(-3.6, 2.0, half * 0.8, 0.45, 0.95, _DARK)
    for name, w in (("left", -half), ("right", half)):
        for at in (-2.7, -1.6):
            _wheel(chassis[name], at, w, 0.48)
        _wheel(cab[name], 2.9, w, 0.48)
    back = chassis["rear"]
    for w0, w1 in ((-half, -half + 0.45), (half - 0.45, half)):
        back.details.append(Detail(across(-3.6, w0, w1, 0.0, 0.8), TYRE))
    # Three solids, so that each gets its own outward side; the nearest is drawn last.
    parts = [
        Solid(labels.TRUCK, item.x, item.ground, item.z, item.yaw, list(f.values())) for f in (cargo, chassis, cab)
    ]
    parts[0].shadow(stage)
    away = item.yaw == 0.0
    for part in (parts[2], parts[1], parts[0]) if away else (parts[1], parts[0], parts[2]):
        part.draw(stage)


def _cargo_details(cargo: dict[str, Face], half: float, top: float, rgb: Rgb, rng: np.random.Generator) -> None:
    line = scaled(rgb, 0.72)
    rear = cargo["rear"]
    rear.details += [
        Detail(across(-3.8, -0.04, 0.04, 1.1, top - 0.1), line),
        Detail(across(-3.8, -half, half, 0.95, 1.12), _DARK),
    ]
    for w in (-0.6, 0.6):
        rear.details.append(Detail(across(-3.8, w - 0.05, w + 0.05, 1.15, top - 0.15), (150.0, 152.0, 154.0)))
    for sign in (-1, 1):
        rear.details.append(Detail(across(-3.8, sign * half, sign * (half - 0.4), 0.78, 0.98), RED))
        for i in range(4):
            tone: Rgb = (220.0, 170.0, 40.0) if i % 2 else RED
            rear.details.append(Detail(across(-3.8, sign * 0.1, sign * (0.75 - i * 0.16), 0.98, 1.1), tone))
    stripe = pick(rng, (*PAINTS, (228.0, 228.0, 224.0)))
    ribbed = chance(rng, 0.5)
    for name, w in (("left", -half), ("right", half)):
        if ribbed:
            for i in range(11):
                at = -3.6 + i * 0.5
                cargo[name].details.append(Detail(along(at, at + 0.1, w, 1.0, top), line))
        else:
            cargo[name].details.append(Detail(along(-3.2, 1.0, w, 1.7, 2.5), stripe))
        cargo[name].details.append(Detail(along(-3.8, 1.7, w, 0.95, 1.1), _DARK))


def _cab_details(cab: dict[str, Face], half: float, rgb: Rgb) -> None:
    at = 3.8
    front = cab["front"]
    front.details += [
        Detail(across(at, -half * 0.9, half * 0.9, 1.45, 2.3), GLASS),
        Detail(across(at, -half * 0.9, half * 0.3, 1.95, 2.3), scaled(GLASS, 1.5)),
        Detail(across(at, -half * 0.6, half * 0.6, 0.85, 1.3), _DARK),
        Detail(across(at, -half * 0.6, half * 0.6, 1.0, 1.06), (170.0, 172.0, 176.0)),
        Detail(across(at, -half, half, 0.42, 0.72), scaled(rgb, 0.6)),
        Detail(across(at, -half, -half + 0.4, 0.0, 0.5), TYRE),
        Detail(across(at, half - 0.4, half, 0.0, 0.5), TYRE),
    ]
    for sign in (-1, 1):
        front.details.append(Detail(across(at, sign * half * 0.66, sign * half * 0.95, 0.75, 0.98), LAMP, True))
        front.details.append(Detail(across(at, sign * half, sign * (half + 0.2), 1.6, 2.2), _DARK))
    for name, w in (("left", -half), ("right", half)):
        cab[name].details.append(Detail(along(2.6, 3.65, w, 1.5, 2.25), GLASS))
        cab[name].details.append(Detail(along(2.5, 2.54, w, 0.6, 2.3), scaled(rgb, 0.65)))


def bus(stage: Stage, item: Item) -> None:
    """A city bus: high, with large windows, doors on its right and a lit destination."""
    rng = generator(item.seed)
    rgb = vary(
        rng,
        pick(
            rng,
            (
                (196.0, 52.0, 44.0),
                (216.0, 176.0, 52.0),
                (60.0, 104.0, 150.0),
                (220.0, 220.0, 214.0),
                (70.0, 120.0, 84.0),
            ),
        ),
        10,
    )
    belt = pick(rng, ((232.0, 230.0, 224.0), scaled(rgb, 0.7), scaled(rgb, 1.15)))
    l0, l1, half, top = -5.5, 5.5, 1.25, 3.1
    faces = box(l0, l1, half, 0.3, top, rgb)
    for name, w in (("left", -half), ("right", half)):
        face = faces[name]
        face.details.append(Detail(along(l0, l1, w, 0.95, 1.2), belt))
        for i in range(6):
            at = l0 + 0.5 + i * 1.72
            face.details.append(Detail(along(at, at + 1.5, w, 1.4, 2.6), GLASS))
            face.details.append(Detail(along(at, at + 1.5, w, 2.1, 2.6), scaled(GLASS, 1.5)))
        if name == "right":
            for at in (-0.8, 4.0):
                face.details.append(Detail(along(at, at + 1.3, w, 0.35, 2.6), scaled(rgb, 0.6)))
                face.details.append(Detail(along(at + 0.08, at + 0.6, w, 0.5, 2.5), GLASS))
                face.details.append(Detail(along(at + 0.7, at + 1.22, w, 0.5, 2.5), GLASS))
        for at in (-3.3, 2.9):
            _wheel(face, at, w, 0.48)
    _bus_front(faces["front"], l1, half, top, rgb)
    _bus_rear(faces["rear"], l0, half, rgb)
    solid = Solid(labels.BUS, item.x, item.ground, item.z, item.yaw, list(faces.values()))
    solid.shadow(stage)
    solid.draw(stage)


def _bus_front(face: Face, at: float, half: float, top: float, rgb: Rgb) -> None:
    face.details += [
        Detail(across(at, -half * 0.93, half * 0.93, 1.05, 2.5), GLASS),
        Detail(across(at, -half * 0.93, half * 0.2, 1.8, 2.5), scaled(GLASS, 1.5)),
        Detail(across(at, -0.03, 0.03, 1.05, 2.5), _DARK),
        Detail(across(at, -half * 0.8, half * 0.8, 2.58, top - 0.12), (26.0, 26.0, 28.0)),
        Detail(across(at, -half * 0.6, half * 0.35, 2.68, top - 0.2), (250.0, 170.0, 50.0), True),
        Detail(across(at, -half, half, 0.3, 0.5), scaled(rgb, 0.55)),
        Detail(across(at, -half * 0.95, -half * 0.7, 0.0, 0.35), TYRE),
        Detail(across(at, half * 0.7, half * 0.95, 0.0, 0.35), TYRE),
    ]
    for sign in (-1, 1):
        face.details.append(Detail(across(at, sign * half * 0.62, sign * half * 0.92, 0.6, 0.82), LAMP, True))
        face.details.append(Detail(across(at, sign * half, sign * (half + 0.2), 1.8, 2.4), _DARK))


def _bus_rear(face: Face, at: float, half: float, rgb: Rgb) -> None:
    face.details += [
        Detail(across(at, -half * 0.8, half * 0.8, 1.75, 2.6), GLASS),
        Detail(across(at, -half * 0.8, half * 0.1, 2.2, 2.6), scaled(GLASS, 1.5)),
        Detail(across(at, -half * 0.7, half * 0.7, 0.7, 1.35), scaled(rgb, 0.6)),
        Detail(across(at, -half * 0.7, half * 0.7, 0.9, 0.96), _DARK),
        Detail(across(at, -half * 0.7, half * 0.7, 1.1, 1.16), _DARK),
        Detail(across(at, -half, half, 0.3, 0.5), _DARK),
        Detail(across(at, -0.3, 0.3, 0.52, 0.66), (226.0, 226.0, 214.0)),
        Detail(across(at, -half * 0.95, -half * 0.7, 0.0, 0.35), TYRE),
        Detail(across(at, half * 0.7, half * 0.95, 0.0, 0.35), TYRE),
    ]
    for sign in (-1, 1):
        face.details.append(Detail(across(at, sign * half * 0.78, sign * half * 0.97, 0.75, 1.4), RED))


def tram(stage: Stage, item: Item) -> None:
    """A long tram: sections with bellows, skirts down to the rails, a dark band of
    windows, a sloping front and a pantograph."""
    rng = generator(item.seed)
    body: Rgb = pick(rng, ((226.0, 222.0, 206.0), (218.0, 220.0, 222.0), (204.0, 196.0, 168.0)))
    skirt = vary(
        rng, pick(rng, ((176.0, 44.0, 44.0), (44.0, 86.0, 140.0), (60.0, 110.0, 80.0), (214.0, 164.0, 40.0))), 8
    )
    l0, l1, half, top = -11.0, 11.0, 1.25, 3.35
    faces = box(l0 + 0.9, l1 - 0.9, half, 0.15, top, body)
    del faces["rear"], faces["front"]
    for name, w in (("left", -half), ("right", half)):
        face = faces[name]
        face.details += [
            Detail(along(l0 + 0.9, l1 - 0.9, w, 0.15, 1.15), skirt),
            Detail(along(l0 + 0.9, l1 - 0.9, w, 1.35, 2.65), (34.0, 38.0, 44.0)),
            Detail(along(l0 + 0.9, l1 - 0.9, w, 2.15, 2.6), (84.0, 96.0, 108.0)),
            Detail(along(l0 + 0.9, l1 - 0.9, w, 2.95, 3.1), skirt),
        ]
        for at in (-3.6, 3.6):
            for i in range(4):
                tone = (44.0, 44.0, 48.0) if i % 2 else (66.0, 66.0, 70.0)
                face.details.append(Detail(along(at - 0.4 + i * 0.2, at - 0.2 + i * 0.2, w, 0.3, 3.2), tone))
        for at in (-6.5, 0.0, 6.5):
            face.details.append(Detail(along(at - 0.65, at + 0.65, w, 0.35, 2.7), scaled(skirt, 0.7)))
            face.details.append(Detail(along(at - 0.55, at + 0.55, w, 0.7, 2.6), (60.0, 70.0, 80.0)))
    solid = Solid(labels.TRAIN, item.x, item.ground, item.z, item.yaw, list(faces.values()))
    for end in (l0, l1):
        solid.faces += _tram_end(end, half, top, body, skirt)
    solid.shadow(stage)
    _pantograph(stage, solid, top)
    solid.draw(stage)


def _tram_end(end: float, half: float, top: float, body: Rgb, skirt: Rgb) -> list[Face]:
    """The narrowed nose: a skirt, a tall windscreen that leans back, three lamps."""
    inner = end * 0.918
    narrow = half * 0.82
    lean = end * 0.96
    low = Face(across(end, -narrow, narrow, 0.2, 1.25), skirt)
    low.details.append(Detail(across(end, -narrow, narrow, 0.2, 0.42), (40.0, 40.0, 44.0)))
    glow = LAMP if end > 0 else (220.0, 40.0, 36.0)
    for sign in (-1, 1):
        low.details.append(Detail(across(end, sign * narrow * 0.55, sign * narrow * 0.9, 0.62, 0.88), glow, True))
    screen = Face(
        [(end, -narrow, 1.25), (end, narrow, 1.25), (lean, narrow, 2.75), (lean, -narrow, 2.75)], (40.0, 46.0, 54.0)
    )
    screen.details.append(
        Detail(
            [(end, -narrow, 1.25), (end, -narrow * 0.2, 1.25), (lean, narrow * 0.4, 2.75), (lean, -narrow, 2.75)],
            (70.0, 80.0, 92.0),
        )
    )
    head = Face([(lean, -narrow, 2.75), (lean, narrow, 2.75), (inner, half, top), (inner, -half, top)], body)
    head.details.append(Detail(across(lean, -0.22, 0.22, 2.82, 3.05), (250.0, 240.0, 200.0), True))
    faces = [low, screen, head]
    for sign in (-1, 1):
        w, n = sign * half, sign * narrow
        faces.append(Face([(inner, w, 0.2), (end, n, 0.2), (end, n, 1.25), (inner, w, 1.25)], skirt))
        faces.append(Face([(inner, w, 1.25), (end, n, 1.25), (lean, n, 2.75), (inner, w, top)], body))
    return faces


def _pantograph(stage: Stage, solid: Solid, top: float) -> None:
    """Two arms and a bow on the roof, wide enough for a label."""
    for at in (-5.0, 5.0):
        joints = ((at, top), (at + 0.9, top + 0.75), (at + 0.1, top + 1.4))
        part = stage.canvas.part(solid.label, stage.light.on_round((70.0, 70.0, 74.0), True), solid.z)
        for (a0, b0), (a1, b1) in pairwise(joints):
            for w in (-0.45, 0.45):
                stage.fill(
                    part,
                    [
                        solid.world(p)
                        for p in (
                            (a0 - 0.1, w - 0.07, b0),
                            (a0 + 0.1, w + 0.07, b0),
                            (a1 + 0.1, w * 0.6 + 0.07, b1),
                            (a1 - 0.1, w * 0.6 - 0.07, b1),
                        )
                    ],
                )
        a, b = joints[-1]
        stage.fill(
            part,
            [
                solid.world(p)
                for p in ((a - 0.1, -0.8, b), (a + 0.1, 0.8, b), (a + 0.1, 0.8, b + 0.14), (a - 0.1, -0.8, b + 0.14))
            ],
        )


def _wheel(face: Face, at: float, w: float, radius: float) -> None:
    for share, tone in ((1.1, (26.0, 26.0, 28.0)), (1.0, TYRE), (0.55, RIM), (0.2, _DARK)):
        face.details.append(Detail(wheel(at, w, radius, share), tone))

"""Poles and what hangs on them: lamps, traffic lights and signs."""

import math

import numpy as np

from segeval.datasets.synthetic import labels
from segeval.datasets.synthetic.camera import Point
from segeval.datasets.synthetic.sampling import Rgb, between, chance, generator, pick, vary
from segeval.datasets.synthetic.scene_layout import Item
from segeval.datasets.synthetic.stage import Board, Stage, disc

_METALS: tuple[Rgb, ...] = (
    (142.0, 146.0, 148.0),
    (74.0, 78.0, 80.0),
    (112.0, 116.0, 114.0),
    (64.0, 84.0, 72.0),
    (150.0, 132.0, 112.0),
)
_WHITE: Rgb = (232.0, 232.0, 228.0)
_RED: Rgb = (188.0, 36.0, 36.0)
_BLUE: Rgb = (36.0, 82.0, 156.0)
_YELLOW: Rgb = (228.0, 178.0, 44.0)


def lamp(stage: Stage, item: Item) -> None:
    """A street lamp; its arm reaches over the road. All of it is pole."""
    rng = generator(item.seed)
    board, rgb = _pole(stage, item, rng, top := between(rng, 4.6, 6.2))
    tip = (1.5, top + 0.25)
    board.limb((0.0, top), tip, 0.09, 0.08, rgb)
    board.limb((1.2, top + 0.2), (1.9, top + 0.25), 0.12, 0.16, rgb)
    if stage.light.dusk > 0:
        board.glow([(1.3, top + 0.08), (1.95, top + 0.12), (1.9, top + 0.24), (1.3, top + 0.2)], (255.0, 232.0, 170.0))


def signal(stage: Stage, item: Item) -> None:
    """A traffic light on its pole, sometimes a second one over the road."""
    rng = generator(item.seed)
    arm = chance(rng, 0.45)
    board, rgb = _pole(stage, item, rng, 4.7 if arm else 3.0)
    state = pick(rng, (0, 2, 2))
    if arm:
        board.limb((0.0, 4.6), (2.3, 4.75), 0.1, 0.09, rgb)
        _light_box(board, (2.2, 4.5), state, rng)
    _light_box(board, (0.0, 2.75), state, rng)


def _light_box(board: Board, at: Point, state: int, rng: np.random.Generator) -> None:
    """Three lamps in a dark box; `state` is the lit one counted from the top."""
    x, y = at
    shell = vary(rng, pick(rng, ((40.0, 42.0, 44.0), (40.0, 42.0, 44.0), (52.0, 70.0, 58.0), (196.0, 150.0, 40.0))), 6)
    light = labels.TRAFFIC_LIGHT
    board.poly(
        [(x - 0.34, y - 0.66), (x + 0.34, y - 0.66), (x + 0.34, y + 0.66), (x - 0.34, y + 0.66)],
        (32.0, 33.0, 35.0),
        False,
        light,
    )
    board.poly([(x - 0.26, y - 0.6), (x + 0.26, y - 0.6), (x + 0.26, y + 0.6), (x - 0.26, y + 0.6)], shell, True, light)
    glows: tuple[Rgb, ...] = ((248.0, 66.0, 52.0), (250.0, 190.0, 60.0), (70.0, 236.0, 150.0))
    dulls: tuple[Rgb, ...] = ((92.0, 34.0, 32.0), (96.0, 76.0, 34.0), (32.0, 78.0, 58.0))
    for i in range(3):
        spot = (x, y + 0.38 - i * 0.38)
        board.poly(disc(spot, 0.185, 0.185, 12), (22.0, 22.0, 24.0), False, light)
        if i == state:
            board.glow(disc(spot, 0.165, 0.165, 12), glows[i], light)
            board.glow(disc((spot[0] - 0.03, spot[1] + 0.03), 0.08, 0.08, 8), (255.0, 244.0, 224.0), light)
        else:
            board.poly(disc(spot, 0.155, 0.155, 12), dulls[i], False, light)


def sign(stage: Stage, item: Item) -> None:
    """One or two signs on a pole."""
    rng = generator(item.seed)
    board, _ = _pole(stage, item, rng, 3.0)
    _plate(board, (0.0, 2.75), rng)
    if chance(rng, 0.35):
        _plate(board, (0.0, 1.85), rng)


def _plate(board: Board, at: Point, rng: np.random.Generator) -> None:
    kind = pick(rng, ("ban", "limit", "warning", "stop", "order", "parking", "priority", "way", "back"))
    r = between(rng, 0.42, 0.52)
    draw = board.poly
    tag = labels.TRAFFIC_SIGN
    x, y = at

    def bar(w: float, h: float, rgb: Rgb, dx: float = 0.0, dy: float = 0.0) -> None:
        draw(
            [(x + dx - w, y + dy - h), (x + dx + w, y + dy - h), (x + dx + w, y + dy + h), (x + dx - w, y + dy + h)],
            rgb,
            True,
            tag,
        )

    def gon(radius: float, count: int, turn: float, rgb: Rgb) -> None:
        turns = [turn + 2 * math.pi * i / count for i in range(count)]
        draw([(x + radius * math.cos(t), y + radius * math.sin(t)) for t in turns], rgb, True, tag)

    if kind == "ban":
        gon(r, 16, 0, _RED)
        bar(r * 0.62, r * 0.15, _WHITE)
    elif kind == "limit":
        gon(r, 16, 0, _RED)
        gon(r * 0.74, 16, 0, _WHITE)
        for dx in (-0.14, 0.14):
            bar(0.045, 0.15, (30.0, 30.0, 30.0), dx)
    elif kind == "warning":
        gon(r * 1.25, 3, math.pi / 2, _RED)
        gon(r * 0.85, 3, math.pi / 2, pick(rng, (_WHITE, _YELLOW)))
        bar(0.04, 0.14, (30.0, 30.0, 30.0))
    elif kind == "stop":
        gon(r * 1.05, 8, math.pi / 8, _WHITE)
        gon(r * 0.95, 8, math.pi / 8, _RED)
        for dx in (-0.24, -0.08, 0.08, 0.24):
            bar(0.05, 0.1, _WHITE, dx)
    elif kind == "order":
        gon(r, 16, 0, _BLUE)
        bar(0.06, r * 0.5, _WHITE, 0, -0.06)
        draw([(x - 0.2, y + 0.1), (x + 0.2, y + 0.1), (x, y + r * 0.8)], _WHITE, True, tag)
    elif kind == "parking":
        bar(r * 0.9, r * 0.9, _BLUE)
        bar(0.05, r * 0.62, _WHITE, -0.13)
        draw(disc((x + 0.02, y + 0.11), 0.19, 0.17), _WHITE, True, tag)
        draw(disc((x + 0.02, y + 0.11), 0.09, 0.07), _BLUE, True, tag)
    elif kind == "priority":
        gon(r * 1.15, 4, 0, _WHITE)
        gon(r * 0.85, 4, 0, _YELLOW)
    elif kind == "way":
        bar(0.75, 0.3, pick(rng, (_BLUE, _YELLOW, (40.0, 100.0, 70.0))))
        bar(0.5, 0.05, _WHITE, -0.1, 0.1)
        bar(0.4, 0.05, _WHITE, -0.2, -0.1)
    else:
        gon(r, 16, 0, (138.0, 140.0, 142.0))
        bar(r * 0.5, 0.06, (110.0, 112.0, 114.0))


def _pole(stage: Stage, item: Item, rng: np.random.Generator, top: float) -> tuple[Board, Rgb]:
    """The pole itself; its arm side is the road's."""
    board = Board(stage, labels.POLE, (item.x, item.ground, item.z), flip=item.yaw > 0)
    rgb = vary(rng, pick(rng, _METALS), 10)
    # Never thinner on the picture than a label can carry.
    radius = max(between(rng, 0.1, 0.13), 0.0085 * item.z / stage.camera.view.focal)
    board.limb((0.0, 0.1), (0.0, top), radius, radius * 0.9, rgb)
    board.limb((0.0, 0.05), (0.0, 0.5), radius * 1.3, radius * 1.2, rgb)
    x, z, g = item.x, item.z, item.ground
    stage.cast([(x - radius, g, z), (x + radius, g, z), (x - radius, top, z), (x + radius, top, z)], g)
    stage.rest([(x - 0.25, z), (x + 0.25, z), (x, z + 0.2), (x, z - 0.2)], g)
    return board, rgb

"""Bicycles and motorcycles, parked or ridden."""

import numpy as np

from segeval.datasets.synthetic import labels
from segeval.datasets.synthetic.camera import Point
from segeval.datasets.synthetic.people import seated
from segeval.datasets.synthetic.sampling import Rgb, between, chance, generator, pick, scaled, vary
from segeval.datasets.synthetic.scene_layout import Item
from segeval.datasets.synthetic.stage import Board, Stage, capsule, disc, ring
from segeval.datasets.synthetic.vehicles import LAMP, PAINTS, RED, TYRE

_STEEL: Rgb = (166.0, 168.0, 172.0)
_SEAT: Rgb = (36.0, 34.0, 34.0)


def bicycle(stage: Stage, item: Item) -> None:
    """A parked bicycle."""
    rng = generator(item.seed)
    board = _board(stage, item, labels.BICYCLE, rng)
    _draw_bicycle(board, rng)
    _shadow(stage, board, 1.0)


def cyclist(stage: Stage, item: Item) -> None:
    """A bicycle with its rider."""
    rng = generator(item.seed)
    board = _board(stage, item, labels.BICYCLE, rng)
    _draw_bicycle(board, rng)
    up = between(rng, -0.06, 0.06)
    pedal = pick(rng, (0.0, 0.12, -0.08))
    joints: dict[str, Point] = {
        "hip": (-0.2, 1.05),
        "shoulder": (0.1 + up, 1.52),
        "head": (0.2 + up, 1.82),
        "hand": (0.48, 1.08),
        "knee": (0.2, 0.76 + pedal * 0.6),
        "foot": (0.02, 0.34 + pedal),
    }
    board.label = labels.RIDER
    seated(board, rng, joints, closed=False)
    _shadow(stage, board, 1.7)


def motorcycle(stage: Stage, item: Item) -> None:
    """A parked motorcycle or scooter."""
    rng = generator(item.seed)
    board = _board(stage, item, labels.MOTORCYCLE, rng)
    _draw_motorcycle(board, rng)
    _shadow(stage, board, 1.0)


def motorcyclist(stage: Stage, item: Item) -> None:
    """A motorcycle with its rider."""
    rng = generator(item.seed)
    board = _board(stage, item, labels.MOTORCYCLE, rng)
    _draw_motorcycle(board, rng)
    joints: dict[str, Point] = {
        "hip": (-0.28, 0.98),
        "shoulder": (0.02, 1.46),
        "head": (0.14, 1.74),
        "hand": (0.52, 1.12),
        "knee": (0.16, 0.76),
        "foot": (-0.04, 0.32),
    }
    board.label = labels.RIDER
    seated(board, rng, joints, closed=True)
    _shadow(stage, board, 1.7)


def _board(stage: Stage, item: Item, label: int, rng: np.random.Generator) -> Board:
    return Board(stage, label, (item.x, item.ground, item.z), item.yaw, chance(rng, 0.5), between(rng, 1.02, 1.14))


def _shadow(stage: Stage, board: Board, top: float) -> None:
    low = [board.place(a, 0.0) for a in (-0.9, 0.9)]
    high = [board.place(a, top) for a in (-0.3, 0.3)]
    ground = low[0][1]
    stage.cast([*low, *high], ground)
    stage.rest([(x, z + d) for x, _, z in low for d in (-0.12, 0.15)], ground)


def _draw_bicycle(board: Board, rng: np.random.Generator) -> None:
    """Wheels and frame; what is seen through them counts as bicycle."""
    rgb = vary(rng, pick(rng, PAINTS), 10)
    r = 0.36
    back, front = (-0.56, r), (0.56, r)
    crank, seat, bar = (-0.06, 0.32), (-0.22, 0.94), (0.42, 1.0)
    hull = [(-0.56, 0.6), (-0.25, 0.94), (0.42, 0.98), (0.6, 0.6), (0.4, 0.3), (-0.1, 0.26)]
    board.glaze(hull, scaled(rgb, 0.6), 0.3)
    for hub in (back, front):
        board.glaze(disc(hub, r, r, 18), (70.0, 72.0, 74.0), 0.3)
        board.poly(ring(hub, r, r - 0.075), TYRE)
        board.poly(ring(hub, r - 0.075, r - 0.11), _STEEL)
        for tip in ((0.0, 1.0), (0.87, 0.5), (-0.87, 0.5)):
            du, dv = tip[0] * (r - 0.09), tip[1] * (r - 0.09)
            board.poly(capsule((hub[0] - du, hub[1] - dv), (hub[0] + du, hub[1] + dv), 0.012, 0.012, 2), _STEEL)
        board.poly(disc(hub, 0.06, 0.06, 8), _STEEL)
    if chance(rng, 0.5):
        board.poly(capsule((-0.8, 0.78), (-0.3, 0.78), 0.035, 0.035, 2), _STEEL)
    for a, b in (
        (back, crank),
        (back, (-0.18, 0.82)),
        (crank, (-0.18, 0.82)),
        (crank, (0.36, 0.8)),
        ((-0.18, 0.78), (0.36, 0.82)),
        ((0.36, 0.86), front),
    ):
        board.poly(capsule(a, b, 0.045, 0.045, 3), rgb)
    board.poly(capsule((-0.17, 0.8), seat, 0.035, 0.03, 2), _STEEL)
    board.poly(capsule((seat[0] - 0.13, seat[1] + 0.02), (seat[0] + 0.13, seat[1]), 0.06, 0.035, 3), _SEAT)
    board.poly(capsule((0.36, 0.82), bar, 0.035, 0.035, 2), _STEEL)
    board.poly(capsule(bar, (bar[0] + 0.12, bar[1] + 0.06), 0.045, 0.045, 3), _SEAT)
    board.poly(disc(crank, 0.1, 0.1, 10), scaled(_STEEL, 0.8))


def _draw_motorcycle(board: Board, rng: np.random.Generator) -> None:
    """A naked motorcycle or a scooter with a leg shield."""
    rgb = vary(rng, pick(rng, PAINTS), 10)
    r = 0.33
    back, front = (-0.7, r), (0.7, r)
    for hub in (back, front):
        board.poly(disc(hub, r, r, 18), TYRE)
        board.poly(ring(hub, r * 0.66, r * 0.5), _STEEL)
        board.poly(disc(hub, r * 0.5, r * 0.5, 12), (70.0, 72.0, 76.0))
        board.poly(disc(hub, r * 0.2, r * 0.2, 8), _STEEL)
    if chance(rng, 0.4):
        _scooter(board, rgb)
    else:
        _naked(board, rgb)
    board.poly(capsule((0.5, 0.95), (0.44, 1.12), 0.05, 0.05, 3), _SEAT)
    board.poly(capsule((0.44, 1.1), (0.6, 1.16), 0.05, 0.05, 3), _SEAT)
    board.poly(capsule((0.5, 1.12), (0.46, 1.32), 0.025, 0.07, 3), (60.0, 62.0, 66.0))
    board.glow(disc((0.66, 0.93), 0.1, 0.11, 10), LAMP)
    board.poly([(-0.95, 0.72), (-0.82, 0.7), (-0.82, 0.82), (-0.95, 0.84)], RED)


def _naked(board: Board, rgb: Rgb) -> None:
    board.poly([(-0.5, 0.28), (0.36, 0.28), (0.46, 0.68), (-0.42, 0.7)], (58.0, 58.0, 62.0))
    board.poly(disc((0.02, 0.46), 0.24, 0.19, 12), (116.0, 118.0, 122.0))
    board.poly(disc((0.05, 0.47), 0.13, 0.11, 10), (70.0, 72.0, 76.0))
    board.limb((0.0, 0.3), (-0.9, 0.34), 0.05, 0.08, _STEEL)
    board.limb((0.7, 0.33), (0.48, 1.0), 0.055, 0.055, _STEEL)
    board.poly(capsule((0.42, 0.66), (0.98, 0.66), 0.05, 0.04, 3), rgb)
    board.limb((0.32, 0.84), (-0.02, 0.8), 0.17, 0.13, rgb)
    board.poly([(-0.08, 0.76), (-0.92, 0.86), (-0.96, 0.94), (-0.5, 0.92), (-0.08, 0.88)], _SEAT)
    board.poly([(-0.3, 0.72), (-0.98, 0.8), (-0.92, 0.9), (-0.3, 0.82)], scaled(rgb, 0.9))


def _scooter(board: Board, rgb: Rgb) -> None:
    board.poly([(-0.98, 0.5), (-0.9, 0.78), (-0.2, 0.84), (0.0, 0.3), (-0.5, 0.3)], rgb, False)
    board.poly([(-0.92, 0.6), (-0.86, 0.76), (-0.24, 0.8), (-0.12, 0.56)], rgb)
    board.poly([(-0.1, 0.24), (0.5, 0.24), (0.5, 0.36), (-0.1, 0.36)], scaled(rgb, 0.7))
    board.poly([(0.36, 0.26), (0.52, 0.26), (0.66, 0.96), (0.44, 1.0)], rgb)
    board.poly(capsule((0.44, 0.62), (0.98, 0.56), 0.07, 0.05, 3), rgb)
    board.poly(capsule((-0.86, 0.88), (-0.22, 0.88), 0.08, 0.07, 3), _SEAT)

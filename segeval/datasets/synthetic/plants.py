"""Trees, bushes and hedges."""

import math

import numpy as np

from segeval.datasets.synthetic import labels
from segeval.datasets.synthetic.camera import Point, Point3
from segeval.datasets.synthetic.sampling import Rgb, between, generator, pick, scaled, vary
from segeval.datasets.synthetic.scene_layout import Item
from segeval.datasets.synthetic.stage import Board, Stage

_LEAVES: tuple[Rgb, ...] = (
    (72.0, 104.0, 48.0),
    (88.0, 118.0, 54.0),
    (62.0, 92.0, 56.0),
    (112.0, 122.0, 58.0),
    (150.0, 116.0, 56.0),
)


def tree(stage: Stage, item: Item) -> None:
    """A broad-leaved tree, or sometimes a conifer; trunk and crown are both vegetation."""
    u, _ = stage.camera.project(item.x, 0.0, item.z)
    if item.z > 30 and not -0.1 < u / stage.camera.width < 1.1:
        return  # Far and beside the picture: neither it nor its shadow is seen.
    rng = generator(item.seed)
    board = Board(stage, labels.VEGETATION, (item.x, item.ground, item.z))
    height = between(rng, 4.8, 7.5)
    rgb = vary(rng, pick(rng, _LEAVES), 10)
    bark = vary(rng, (92.0, 76.0, 62.0), 16)
    if rng.random() < 0.2:
        _conifer(board, rng, height, rgb, bark)
        radius = 1.2
    else:
        radius = between(rng, 1.3, 2.0)
        _trunk(board, height * 0.62, bark)
        crown(board, rng, (0.0, height - radius), radius, radius * between(rng, 0.95, 1.25), rgb)
    x, z, y = item.x, item.z, height - radius
    stage.rest([(x + 0.4 * math.cos(t), z + 0.4 * math.sin(t)) for t in (0, 1, 2, 3, 4, 5, 6)], item.ground)
    stage.cast([(x - 0.15, item.ground, z), (x + 0.15, item.ground, z), (x - 0.15, y, z), (x + 0.15, y, z)])
    ball: list[Point3] = []
    for i in range(8):
        t = i * math.pi / 4
        ball.append((x + radius * math.cos(t), y + radius * math.sin(t), z))
        ball.append((x, y + radius * math.sin(t), z + radius * math.cos(t)))
    stage.cast(ball)


def bush(stage: Stage, x: float, z: float, rng: np.random.Generator, ground: float) -> None:
    """A round bush about a metre high."""
    board = Board(stage, labels.VEGETATION, (x, ground, z))
    radius = between(rng, 0.6, 1.1)
    crown(board, rng, (0.0, radius * 0.7), radius * 1.2, radius, vary(rng, pick(rng, _LEAVES), 10))
    stage.rest([(x - radius, z), (x + radius, z), (x, z + 0.5), (x, z - 0.3)], ground)


def crown(board: Board, rng: np.random.Generator, centre: Point, rx: float, ry: float, rgb: Rgb) -> None:
    """Leaves: a dark ragged body, then ever lighter tufts up the sunny side."""
    depth_grain = 0.9
    # Far crowns are a few pixels wide and need a third of the tufts.
    detail = 1.0 if board.depth < 22 else 0.35
    rim = round(16 * detail)
    light = board.stage.light
    tones = (
        (light.on_round(scaled(rgb, 0.62), False), 0.0, 6, 0.40, 0.55),
        (light.on_round(scaled(rgb, 0.80), True), 0.10, 18, 0.22, 0.78),
        (light.on_round(scaled(rgb, 1.0), True), 0.24, 18, 0.15, 0.74),
        (light.on_round(scaled(rgb, 1.22), True), 0.38, 14, 0.10, 0.60),
    )
    canvas = board.stage.canvas
    body = canvas.part(board.label, tones[0][0], board.depth, depth_grain)
    board.stage.fill(body, [board.place(*p) for p in _ragged(rng, centre, rx * 0.88, ry * 0.88, 26)])
    for i in range(rim):
        # Tufts along the rim, so that the outline is leafy and not a polygon.
        turn = 2 * math.pi * (i + float(rng.random())) / rim
        spot = (centre[0] + 0.84 * rx * math.cos(turn), centre[1] + 0.84 * ry * math.sin(turn))
        board.stage.fill(body, [board.place(*p) for p in _ragged(rng, spot, rx * 0.2, ry * 0.2, 7)])
    for colour, lift, most, size, spread in tones:
        count = round(most * detail)
        size = size if detail == 1 else size * 1.4
        part = canvas.part(board.label, colour, board.depth, depth_grain)
        cx, cy = centre[0] + board.sunny * lift * rx * 0.6, centre[1] + lift * ry * 0.7
        for i in range(count):
            turn = 2 * math.pi * (i + float(rng.random())) / count
            out = spread * math.sqrt(float(rng.random()))
            spot = (cx + out * rx * math.cos(turn), cy + out * ry * math.sin(turn))
            blob = _ragged(rng, spot, rx * size, ry * size, 8)
            board.stage.fill(part, [board.place(*p) for p in blob])


def _ragged(rng: np.random.Generator, centre: Point, rx: float, ry: float, steps: int) -> list[Point]:
    wobble = (0.8 + 0.35 * rng.random(steps)).tolist()
    points = []
    for i, reach in enumerate(wobble):
        t = 2 * math.pi * i / steps
        points.append((centre[0] + rx * reach * math.cos(t), centre[1] + ry * reach * math.sin(t)))
    return points


def _trunk(board: Board, top: float, bark: Rgb) -> None:
    board.limb((0.0, 0.1), (0.0, top), 0.2, 0.13, bark)
    board.limb((0.0, top * 0.75), (0.5, top * 1.05), 0.1, 0.06, bark)
    board.limb((0.0, top * 0.7), (-0.5, top * 1.0), 0.1, 0.06, bark)


def _conifer(board: Board, rng: np.random.Generator, height: float, rgb: Rgb, bark: Rgb) -> None:
    board.limb((0.0, 0.1), (0.0, 1.2), 0.18, 0.18, bark)
    dark: Rgb = (rgb[0] * 0.6, rgb[1] * 0.75, rgb[2] * 0.75)
    layers = 7
    for i in range(layers):
        y = 0.7 + (height - 1.4) * i / layers
        half = 1.35 * (1 - i / (layers + 0.5)) + 0.15
        sag = between(rng, 0.1, 0.3)
        tip = y + height / layers * 1.7
        board.poly(
            [(-half, y - sag), (-half * 0.4, y), (0, y - sag), (half * 0.4, y), (half, y - sag), (0, tip)], dark, False
        )
        board.poly([(0.0, y - sag), (board.sunny * half * 0.85, y - sag * 0.7), (0.0, tip)], scaled(dark, 1.15), True)


def leaf_colour(rng: np.random.Generator) -> Rgb:
    """The colour of some plant's leaves."""
    return vary(rng, pick(rng, _LEAVES), 10)

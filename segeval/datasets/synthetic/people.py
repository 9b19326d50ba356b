"""Pedestrians and the people on two wheels."""

import math

import numpy as np

from segeval.datasets.synthetic import labels
from segeval.datasets.synthetic.camera import Point
from segeval.datasets.synthetic.sampling import Rgb, between, chance, generator, pick, scaled, vary
from segeval.datasets.synthetic.scene_layout import Item
from segeval.datasets.synthetic.stage import Board, Stage, capsule, disc

_CLOTHES: tuple[Rgb, ...] = (
    (52.0, 58.0, 74.0),
    (150.0, 52.0, 48.0),
    (196.0, 188.0, 172.0),
    (84.0, 96.0, 66.0),
    (118.0, 120.0, 124.0),
    (60.0, 88.0, 138.0),
    (44.0, 44.0, 46.0),
    (202.0, 162.0, 66.0),
    (136.0, 98.0, 72.0),
    (128.0, 74.0, 110.0),
    (214.0, 214.0, 210.0),
)
_SKIN: tuple[Rgb, ...] = ((226.0, 184.0, 156.0), (198.0, 148.0, 116.0), (138.0, 96.0, 72.0), (92.0, 64.0, 50.0))
_HAIR: tuple[Rgb, ...] = ((50.0, 38.0, 30.0), (96.0, 66.0, 42.0), (180.0, 146.0, 92.0), (140.0, 140.0, 140.0))


def cloth(rng: np.random.Generator) -> Rgb:
    """The colour of some piece of clothing."""
    return vary(rng, pick(rng, _CLOTHES), 12)


def skin(rng: np.random.Generator) -> Rgb:
    """The colour of some skin."""
    return vary(rng, pick(rng, _SKIN), 8)


def person(stage: Stage, item: Item) -> None:
    """Somebody who walks or stands, 1.6 to 1.9 m tall."""
    rng = generator(item.seed)
    size = between(rng, 0.92, 1.06)
    board = Board(stage, labels.PERSON, (item.x, item.ground, item.z), flip=item.yaw < 0, size=size)
    top, trousers, tone = cloth(rng), cloth(rng), skin(rng)
    stride = pick(rng, (0.0, between(rng, 0.12, 0.3), between(rng, 0.12, 0.3)))
    skirt = chance(rng, 0.22)
    swing = stride * 0.9
    hip, neck = (0.0, 0.92), (0.0, 1.44)
    _arm(board, (-0.17, 1.38), (-0.26 - swing * 0.5, 0.9), scaled(top, 0.9), tone)
    legs = tone if skirt else trousers
    _leg(board, (-0.07, 0.9), (-0.1 - stride, 0.06), scaled(legs, 0.85))
    _leg(board, (0.07, 0.9), (0.1 + stride, 0.06), legs)
    if skirt:
        board.poly([(-0.18, 1.0), (0.18, 1.0), (0.27, 0.5), (-0.27, 0.5)], trousers, False)
        board.poly(
            [(-0.1, 1.0), (0.1 + board.sunny * 0.08, 1.0), (0.1 + board.sunny * 0.12, 0.5), (-0.14, 0.5)], trousers
        )
    torso(board, hip, neck, 0.23, top)
    if chance(rng, 0.3):
        bag = cloth(rng)
        board.limb((-0.2, 1.3), (-0.22, 1.0), 0.13, 0.15, bag)
    _arm(board, (0.19, 1.38), (0.28 + swing * 0.6, 0.9), top, tone)
    head(board, (0.02, 1.6), tone, pick(rng, _HAIR))
    stage.rest([(item.x - 0.32, item.z - 0.1), (item.x + 0.32, item.z - 0.1), (item.x, item.z + 0.3)], item.ground)
    g = item.ground
    stage.cast(
        [(item.x + dx, g + y, item.z) for dx in (-0.2, 0.2) for y in (0.0, 1.35)] + [(item.x, g + 1.7, item.z)], g
    )


def torso(board: Board, hip: Point, neck: Point, half: float, rgb: Rgb) -> None:
    """A body from hip to neck, lit from the sunny side."""
    board.poly(capsule(hip, (neck[0], neck[1] - 0.1), half * 0.82, half * 0.9), rgb, False)
    d = board.sunny * half * 0.25
    board.poly(capsule((hip[0] + d, hip[1]), (neck[0] + d, neck[1] - 0.1), half * 0.55, half * 0.62), rgb)


def head(board: Board, at: Point, tone: Rgb, hair: Rgb) -> None:
    """A bare head with hair, seen about from the side."""
    board.poly(capsule((at[0] - 0.01, at[1] - 0.2), at, 0.06, 0.07), tone, False)
    board.poly(disc(at, 0.115, 0.14), tone, False)
    board.poly(disc((at[0] + board.sunny * 0.03, at[1]), 0.08, 0.12), tone)
    board.poly(
        [
            (at[0] + 0.115 * math.cos(t), at[1] + 0.03 + 0.125 * math.sin(t))
            for t in (0.5, 1.0, 1.57, 2.2, 2.8, 3.4, 3.9)
        ],
        hair,
        True,
    )


def helmet(board: Board, at: Point, rgb: Rgb, tone: Rgb, closed: bool) -> None:
    """A head in a helmet; `closed` is a motorcyclist's with a visor."""
    board.poly(disc(at, 0.13, 0.15), tone, False)
    if closed:
        board.poly(disc(at, 0.165, 0.18), rgb, False)
        board.poly(disc((at[0] + board.sunny * 0.04, at[1] + 0.03), 0.11, 0.13), rgb)
        board.poly(
            [
                (at[0] + 0.03, at[1] - 0.04),
                (at[0] + 0.16, at[1] - 0.05),
                (at[0] + 0.165, at[1] + 0.06),
                (at[0] + 0.04, at[1] + 0.07),
            ],
            (34.0, 40.0, 50.0),
        )
    else:
        dome = [
            (at[0] + 0.165 * math.cos(i * math.pi / 8), at[1] + 0.02 + 0.165 * math.sin(i * math.pi / 8))
            for i in range(9)
        ]
        board.poly(dome, rgb)


def _leg(board: Board, hip: Point, foot: Point, rgb: Rgb) -> None:
    knee = (hip[0] * 0.45 + foot[0] * 0.55 + 0.03, (hip[1] + foot[1]) / 2)
    board.limb(hip, knee, 0.115, 0.095, rgb)
    board.limb(knee, foot, 0.095, 0.075, rgb)
    board.poly(
        capsule((foot[0] - 0.03, foot[1] - 0.01), (foot[0] + 0.13, foot[1] - 0.02), 0.06, 0.05), (44.0, 40.0, 38.0)
    )


def _arm(board: Board, shoulder: Point, hand: Point, rgb: Rgb, tone: Rgb) -> None:
    elbow = ((shoulder[0] + hand[0]) / 2 - 0.02, (shoulder[1] + hand[1]) / 2)
    board.limb(shoulder, elbow, 0.085, 0.075, rgb)
    board.limb(elbow, hand, 0.075, 0.06, rgb)
    board.poly(disc(hand, 0.06, 0.065, 8), tone)


def seated(board: Board, rng: np.random.Generator, joints: dict[str, Point], closed: bool) -> None:
    """A rider seen from the side; joints are hip, shoulder, head, hand, knee, foot."""
    top, trousers, tone = cloth(rng), cloth(rng), skin(rng)
    hip, shoulder, hand = joints["hip"], joints["shoulder"], joints["hand"]
    board.limb(hip, joints["knee"], 0.13, 0.1, trousers)
    board.limb(joints["knee"], joints["foot"], 0.1, 0.08, trousers)
    foot = joints["foot"]
    board.poly(capsule(foot, (foot[0] + 0.14, foot[1] - 0.02), 0.06, 0.05), (40.0, 38.0, 38.0))
    torso(board, hip, (shoulder[0], shoulder[1] + 0.1), 0.22, top)
    elbow = ((shoulder[0] + hand[0]) / 2 - 0.04, (shoulder[1] + hand[1]) / 2 - 0.1)
    board.limb(shoulder, elbow, 0.09, 0.08, scaled(top, 1.08))
    board.limb(elbow, hand, 0.08, 0.06, scaled(top, 1.08))
    board.poly(disc(hand, 0.06, 0.06, 8), tone)
    helmet(board, joints["head"], cloth(rng), tone, closed)

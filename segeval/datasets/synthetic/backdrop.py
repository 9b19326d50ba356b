"""The backdrop: the end of the street, and the rows of houses and trees beside it."""

import numpy as np

from segeval.datasets.synthetic.barriers import Span, draw_barrier
from segeval.datasets.synthetic.buildings import draw_front, draw_house
from segeval.datasets.synthetic.camera import NEAR
from segeval.datasets.synthetic.plants import bush, tree
from segeval.datasets.synthetic.sampling import between, chance, generator, pick
from segeval.datasets.synthetic.scene_layout import JUNCTION_WIDTH, KERB, Item, Plan, Side
from segeval.datasets.synthetic.stage import Stage


def draw_backdrop(stage: Stage, plan: Plan, rng: np.random.Generator) -> None:
    """A row of houses or trees across the whole view at the end of the street."""
    # The bend has carried the street sideways by then; the row must cover the view all the same.
    drift = -0.5 * plan.view.bend * plan.end**2
    x = drift - 110.0
    while x < drift + 110.0:
        width = between(rng, 9, 18)
        if chance(rng, 0.62):
            draw_front(stage, x, x + width, plan.end, between(rng, 6, 15), rng)
        else:
            for step in range(3):
                seed = int(rng.integers(1 << 30))
                tree(stage, Item("tree", x + width * (step + 0.5) / 3, plan.end - step, seed))
                bush(stage, x + width * (step + 0.3) / 3, plan.end - 2, rng, 0.0)
        x += width


def draw_side(stage: Stage, side: Side, span: Span) -> None:
    """Houses or trees along a stretch, then what stands in front of them, from the outside in."""
    rng = generator(side.seed, round(span[0] * 100))
    if side.built:
        _houses(stage, side, span, rng)
    else:
        _trees(stage, side, span, rng)
    if abs(side.green - side.walk) > 1.2:
        _garden(stage, side, span, rng)
    # From the side's own stream, so that it looks the same beyond a crossing.
    draw_barrier(stage, side, span, generator(side.seed))


def blocks(plan: Plan) -> list[Span]:
    """The stretches of z along which houses may stand, far ones first: all but the crossing street."""
    if plan.junction is None:
        return [(NEAR, plan.end)]
    return [(plan.junction + JUNCTION_WIDTH + 0.5, plan.end), (NEAR, plan.junction - 0.5)]


def _houses(stage: Stage, side: Side, span: Span, rng: np.random.Generator) -> None:
    rows: list[tuple[float, float, float, int]] = []
    tall = chance(rng, 0.5)
    z, stop = span
    while z < stop - 4:
        length = min(between(rng, 7, 14), stop - z)
        height = between(rng, 8, 15) if tall else between(rng, 5, 9)
        rows.append((z, z + length, height, int(rng.integers(1 << 30))))
        z += length + pick(rng, (0.0, 0.0, 0.0, between(rng, 2, 4)))
    for z0, z1, height, seed in reversed(rows):
        draw_house(stage, side.green, z0, z1, side.sign, height, generator(seed))


def _trees(stage: Stage, side: Side, span: Span, rng: np.random.Generator) -> None:
    places: list[tuple[float, float]] = []
    z = max(span[0], 4.0)
    while z < span[1]:
        places.append((z, side.green + side.sign * between(rng, 0.0, 3.0)))
        z += between(rng, 2.2, 5.5)
    for z, x in reversed(places):
        tree(stage, Item("tree", x, z, int(rng.integers(1 << 30)), ground=KERB))


def _garden(stage: Stage, side: Side, span: Span, rng: np.random.Generator) -> None:
    z = min(span[1], 40.0) - 1
    while z > max(span[0], 5.0):
        x = side.walk + (side.green - side.walk) * between(rng, 0.4, 0.8)
        if chance(rng, 0.55):
            bush(stage, x, z, rng, KERB)
        z -= between(rng, 2.0, 5.0)

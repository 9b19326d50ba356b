"""A whole scene: sample the plan, draw it from far to near, finish the picture."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segeval.datasets.synthetic import cycles, furniture, heavy, labels, people, plants, vehicles
from segeval.datasets.synthetic.backdrop import blocks, draw_backdrop, draw_side
from segeval.datasets.synthetic.camera import NEAR, Camera
from segeval.datasets.synthetic.canvas import OVERSAMPLING, Canvas
from segeval.datasets.synthetic.finish import finish
from segeval.datasets.synthetic.ground import Ground
from segeval.datasets.synthetic.light import sample_light
from segeval.datasets.synthetic.sampling import generator
from segeval.datasets.synthetic.scene_layout import JUNCTION_WIDTH, Item, Plan, sample_plan
from segeval.datasets.synthetic.stage import Stage

MIN_HEIGHT, MIN_WIDTH = 64, 128

_DRAW: dict[str, Callable[[Stage, Item], None]] = {
    "car": vehicles.car,
    "truck": heavy.truck,
    "bus": heavy.bus,
    "tram": heavy.tram,
    "person": people.person,
    "bicycle": cycles.bicycle,
    "cyclist": cycles.cyclist,
    "motorcycle": cycles.motorcycle,
    "motorcyclist": cycles.motorcyclist,
    "lamp": furniture.lamp,
    "signal": furniture.signal,
    "sign": furniture.sign,
    "tree": plants.tree,
}


@dataclass(frozen=True)
class Scene:
    """One rendered street scene."""

    image: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    labels: NDArray[np.uint8]
    """(H, W) Cityscapes train ids 0..18; 255 is the camera car's own bonnet."""


def render_scene(seed: int, height: int = 256, width: int = 512) -> Scene:
    """The street scene of `seed` at `height` x `width` pixels.

    The same seed and size give the same bytes; the same seed at another size
    gives the same street, of which a wider picture shows more to the sides.

    Raises `ValueError` for a negative seed or a size below 64 x 128.
    """
    if seed < 0:
        raise ValueError(f"the seed of a scene must not be negative, got {seed}")
    if height < MIN_HEIGHT or width < MIN_WIDTH:
        raise ValueError(f"a scene needs at least {MIN_HEIGHT}x{MIN_WIDTH} pixels, got {height}x{width}")
    plan = sample_plan(generator(seed, 0))
    light = sample_light(generator(seed, 1))
    canvas = Canvas(height, width)
    camera = Camera(plan.view, height * OVERSAMPLING, width * OVERSAMPLING)
    stage = Stage(camera, canvas, light)
    canvas.part(labels.SKY, light.skyline, 0.0)
    draw_backdrop(stage, plan, generator(seed, 2))
    Ground(stage, plan, generator(seed, 3)).draw()
    items = sorted(plan.items, key=lambda item: item.reach - item.z)
    for block in blocks(plan):
        # Within a block things further out never hide things further in; only
        # a nearer block can hide what stands beyond the crossing street.
        for side in plan.sides:
            draw_side(stage, side, block)
        while items and (items[0].z - items[0].reach > block[0] - JUNCTION_WIDTH or block[0] == NEAR):
            item = items.pop(0)
            _DRAW[item.kind](stage, item)
    if plan.bonnet:
        _bonnet(stage, plan)
    image, label_map = finish(canvas, plan.view, light, generator(seed, 4))
    return Scene(image, label_map)


def _bonnet(stage: Stage, plan: Plan) -> None:
    """The front of the camera's own car along the lower edge: not to be labelled."""
    height, width = stage.camera.height, stage.camera.width
    middle = width / 2 + plan.view.centre * height * 0.3
    half = height * 0.85
    rgb = (62.0, 66.0, 72.0)
    for share, tone in ((1.0, 0.8), (0.86, 1.0), (0.6, 1.25)):
        part = stage.canvas.part(labels.IGNORE, (rgb[0] * tone, rgb[1] * tone, rgb[2] * tone), 0.0)
        top = height * (1 - 0.065 * share)
        shape = [(-1.0, 0.8), (-0.8, 0.35), (-0.4, 0.08), (0.0, 0.0), (0.4, 0.08), (0.8, 0.35), (1.0, 0.8)]
        points = [(middle + a * half, top + (height - top) * b) for a, b in shape]
        stage.canvas.fill(part, [*points, (middle + half, height + 2), (middle - half, height + 2)])

"""From the canvas to the picture: texture, sky, shadows, haze, exposure, sensor."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from segeval.datasets.synthetic import labels
from segeval.datasets.synthetic.camera import View
from segeval.datasets.synthetic.canvas import OVERSAMPLING, Canvas
from segeval.datasets.synthetic.light import Light
from segeval.datasets.synthetic.texture import TILE, clouds, grain_tile, tiled

Field = NDArray[np.float32]
SKY_PART = 0
"""The canvas starts out filled with this part."""
HEADROOM = 1.5
"""Colours are kept in bytes divided by this, so that highlights up to 382 survive."""


@dataclass(frozen=True)
class Layers:
    """What the canvas holds, at picture size."""

    rgb: Field
    """(H, W, 3), 0..255, hazed, anti-aliased."""
    grain: Field
    """(H, W), 0..1, anti-aliased."""
    labels: NDArray[np.uint8]
    sky: Field
    """(H, W) share of each pixel that is sky, 0..1."""


def resolve(canvas: Canvas, light: Light) -> Layers:
    """Look the parts up in their table and reduce to picture size."""
    rgb, label, depth, grain = canvas.table()
    clear = (light.haze / (light.haze + depth))[:, None]
    hazed = rgb * clear + np.asarray(light.skyline, dtype=np.float32) * (1 - clear)
    table = np.empty((len(label), 4), dtype=np.uint8)
    table[:, :3] = np.clip(np.rint(hazed / HEADROOM), 0, 255)
    table[:, 3] = np.rint(np.clip(grain, 0, 1) * 255)
    ids = canvas.ids()
    looked_up = table.view(np.uint32)[:, 0][ids]
    size = (canvas.width * OVERSAMPLING, canvas.height * OVERSAMPLING)
    # RGBX, not RGBA: the fourth channel is no opacity, colours must not be weighted with it.
    big = Image.frombuffer("RGBX", size, looked_up.tobytes(), "raw", "RGBX", 0, 1)
    small = np.asarray(big.reduce(OVERSAMPLING), dtype=np.float32)
    open_sky = Image.fromarray((ids == SKY_PART).astype(np.uint8) * np.uint8(255)).reduce(OVERSAMPLING)
    return Layers(
        rgb=small[:, :, :3] * np.float32(HEADROOM),
        grain=small[:, :, 3] / np.float32(255),
        labels=label[ids[::OVERSAMPLING, ::OVERSAMPLING]],
        sky=np.asarray(open_sky, dtype=np.float32) / np.float32(255),
    )


def finish(
    canvas: Canvas, view: View, light: Light, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The picture (H, W, 3) and its labels (H, W)."""
    layers = resolve(canvas, light)
    height, width = layers.labels.shape
    rgb = layers.rgb
    ground = np.isin(layers.labels, (labels.ROAD, labels.SIDEWALK, labels.TERRAIN))
    rgb *= 1 + (_texture(layers, ground, view, rng) * layers.grain)[:, :, None]
    rgb *= 1 - (_shadow(canvas, light) * ground)[:, :, None]
    _haze_ground(rgb, ground, view, light)
    _sky(rgb, layers.sky, view, light, rng)
    noise = tiled(grain_tile(rng, 2), height, width) * np.float32(3.0)
    rgb *= np.float32(light.exposure)
    rgb += noise[:, :, None]
    # Highlights are pressed together like a sensor's, instead of cut off.
    rgb -= np.maximum(rgb - 205, 0) * np.float32(0.5)
    picture = np.clip(rgb, 0, 255).astype(np.uint8)
    return picture, layers.labels


def _texture(layers: Layers, ground: NDArray[np.bool_], view: View, rng: np.random.Generator) -> Field:
    """Brightness noise: fixed to the ground in perspective, to the picture elsewhere."""
    height, width = ground.shape
    asphalt, leaves = grain_tile(rng, 8), grain_tile(rng, 4)
    field = tiled(leaves, height, width) * np.float32(0.30)
    field[layers.labels != labels.VEGETATION] *= np.float32(0.45)
    top = min(int(view.horizon * height) + 1, height - 1)
    rows = (np.arange(top, height) + 0.5) / height
    z = view.focal * view.height / (rows - view.horizon).clip(0.002)
    columns = (np.arange(width) + 0.5 - width / 2) / height - view.centre
    x = columns[None, :] * (z / view.focal)[:, None] - (0.5 * view.bend * z * z)[:, None]
    strength = (10 / (10 + z)).astype(np.float32)[:, None] * np.float32(0.2)
    lines = np.floor(z * 22).astype(np.int64) % TILE
    across = np.floor(x * 30).astype(np.int64) % TILE
    broad = np.floor(x * 3.5).astype(np.int64) % TILE
    rough = asphalt[lines[:, None], across] + asphalt[
        (np.floor(z * 2.5).astype(np.int64) % TILE)[:, None], broad
    ] * np.float32(0.5)
    field[top:] = np.where(ground[top:], rough * strength, field[top:])
    grass = layers.labels == labels.TERRAIN
    field[grass] += tiled(leaves, height, width)[grass] * np.float32(0.1)
    return field


def _shadow(canvas: Canvas, light: Light) -> Field:
    """Share of the light lost on the ground, (H, W)."""
    soft = max(canvas.height / 300, 0.6)
    cast = np.asarray(canvas.sun_shadow.filter(ImageFilter.BoxBlur(soft)), dtype=np.float32)
    rest = np.asarray(canvas.contact_shadow.filter(ImageFilter.BoxBlur(soft * 2.5)), dtype=np.float32)
    lost: Field = np.maximum(cast * np.float32(light.shadow / 255), rest * np.float32(0.62 / 255))
    return lost


def _haze_ground(rgb: Field, ground: NDArray[np.bool_], view: View, light: Light) -> None:
    height = rgb.shape[0]
    top = min(int(view.horizon * height) + 1, height - 1)
    rows = (np.arange(top, height) + 0.5) / height
    z = (view.focal * view.height / (rows - view.horizon).clip(0.002)).clip(0, 200)
    share = (z / (z + light.haze)).astype(np.float32)[:, None] * ground[top:]
    rgb[top:] += share[:, :, None] * (np.asarray(light.skyline, dtype=np.float32) - rgb[top:])


def _sky(rgb: Field, cover: Field, view: View, light: Light, rng: np.random.Generator) -> None:
    """Replace the sky's plain colour by a gradient with clouds."""
    height, width = cover.shape
    bottom = min(int(view.horizon * height) + 2, height)
    rise = (1 - (np.arange(bottom) + 0.5) / (view.horizon * height)).clip(0, 1).astype(np.float32)
    up = rise * (2 - rise)
    skyline = np.asarray(light.skyline, dtype=np.float32)
    zenith = np.asarray(light.zenith, dtype=np.float32)
    gradient = skyline + (zenith - skyline) * up[:, None]
    field = np.repeat(gradient[:, None, :], width, axis=1)
    density = clouds(rng, bottom, width, height)
    edge = np.float32(0.64 - 0.3 * light.clouds)
    veil = ((density - edge) * np.float32(5)).clip(0, 1)
    # Thick parts are greyer below: compare with the density a little higher up.
    shift = max(height // 40, 1)
    above = np.vstack([density[:1].repeat(shift, axis=0), density[:-shift]])
    body = (1 - ((above - density) * np.float32(-1.6)).clip(-0.1, 0.22))[:, :, None]
    white = np.asarray(light.cloud, dtype=np.float32) * body
    field += (veil * np.float32(0.85))[:, :, None] * (white - field)
    rgb[:bottom] += cover[:bottom, :, None] * (field - skyline)

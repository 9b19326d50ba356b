"""Weather and daylight: the position of the sun and its effect on colours."""

import math
from dataclasses import dataclass

import numpy as np

from segeval.datasets.synthetic.camera import Point3
from segeval.datasets.synthetic.sampling import Rgb, between, mixed, pick


@dataclass(frozen=True)
class Light:
    """The light of one scene. Light colours are factors on a surface colour."""

    sun: Point3
    """Unit vector towards the sun."""
    direct: Rgb
    ambient: Rgb
    zenith: Rgb
    """Colour of the sky overhead, 0..255."""
    skyline: Rgb
    """Colour of the sky at the horizon and of the haze, 0..255."""
    haze: float
    """Distance in metres at which half of a colour is lost to haze."""
    clouds: float
    """Share of the sky under clouds, 0..1."""
    cloud: Rgb
    """Colour of a cloud, 0..255."""
    shadow: float
    """Strength of cast shadows, 0..1."""
    exposure: float
    dusk: float
    """How many of the windows and lamps are lit, 0..1."""

    def on(self, rgb: Rgb, normal: Point3) -> Rgb:
        """`rgb` as seen on a surface whose outward unit normal is `normal`."""
        facing = normal[0] * self.sun[0] + normal[1] * self.sun[1] + normal[2] * self.sun[2]
        direct = max(facing, 0.0)
        # Surfaces that look up see more of the sky than those that look down.
        sky = 0.8 + 0.2 * normal[1]
        return (
            rgb[0] * (self.ambient[0] * sky + self.direct[0] * direct),
            rgb[1] * (self.ambient[1] * sky + self.direct[1] * direct),
            rgb[2] * (self.ambient[2] * sky + self.direct[2] * direct),
        )

    def on_round(self, rgb: Rgb, towards_sun: bool) -> Rgb:
        """`rgb` on the sunny or the shady side of something round and upright."""
        tilt = 0.75 if towards_sun else 0.12
        return (
            rgb[0] * (self.ambient[0] * 0.85 + self.direct[0] * tilt),
            rgb[1] * (self.ambient[1] * 0.85 + self.direct[1] * tilt),
            rgb[2] * (self.ambient[2] * 0.85 + self.direct[2] * tilt),
        )


def sample_light(rng: np.random.Generator) -> Light:
    """One of bright, fair, overcast, misty and evening, each with its own spread."""
    weather = pick(rng, ("bright", "bright", "fair", "fair", "overcast", "misty", "evening"))
    azimuth = between(rng, 0.15, math.pi - 0.15) * pick(rng, (-1.0, 1.0))
    elevation = between(rng, 0.55, 1.05)
    exposure = between(rng, 1.02, 1.24)
    clouds, dusk, haze = between(rng, 0.1, 0.6), 0.0, between(rng, 140, 300)
    direct, ambient, shadow = (0.62, 0.58, 0.50), (0.60, 0.64, 0.70), 0.50
    zenith, skyline, cloud = (78.0, 132.0, 202.0), (196.0, 214.0, 230.0), (246.0, 246.0, 246.0)
    if weather == "fair":
        direct, ambient, shadow = (0.46, 0.44, 0.41), (0.70, 0.72, 0.74), 0.40
        zenith, clouds = (112.0, 152.0, 204.0), between(rng, 0.4, 0.8)
    elif weather == "overcast":
        direct, ambient, shadow = (0.12, 0.12, 0.12), (0.90, 0.92, 0.95), 0.16
        zenith, skyline, cloud = (160.0, 168.0, 178.0), (208.0, 212.0, 216.0), (196.0, 200.0, 206.0)
        clouds, haze = between(rng, 0.6, 1.0), between(rng, 90, 180)
    elif weather == "misty":
        direct, ambient, shadow = (0.20, 0.19, 0.17), (0.88, 0.89, 0.90), 0.25
        zenith, skyline, cloud = (188.0, 200.0, 212.0), (222.0, 224.0, 224.0), (226.0, 228.0, 230.0)
        haze = between(rng, 45, 90)
    elif weather == "evening":
        direct, ambient, shadow = (0.66, 0.47, 0.28), (0.58, 0.56, 0.64), 0.42
        zenith, skyline, cloud = (92.0, 108.0, 168.0), (250.0, 200.0, 152.0), (250.0, 196.0, 170.0)
        elevation, dusk, haze = between(rng, 0.42, 0.6), between(rng, 0.15, 0.45), between(rng, 110, 200)
    flat = math.cos(elevation)
    sun = (flat * math.sin(azimuth), math.sin(elevation), flat * math.cos(azimuth))
    zenith = mixed(zenith, skyline, between(rng, 0.0, 0.3))
    return Light(sun, direct, ambient, zenith, skyline, haze, clouds, cloud, shadow, exposure, dusk)

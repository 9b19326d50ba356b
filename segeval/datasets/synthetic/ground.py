"""Road, markings, rails, kerbs, sidewalks and grass."""

import numpy as np

from segeval.datasets.synthetic import labels
from segeval.datasets.synthetic.camera import NEAR, Point3
from segeval.datasets.synthetic.sampling import Rgb, between, chance, pick, scaled, vary
from segeval.datasets.synthetic.scene_layout import JUNCTION_WIDTH, KERB, LANE, Plan, Side
from segeval.datasets.synthetic.stage import UP, Stage

FAR = 260.0
_STATIONS = (NEAR, 3.0, 5.0, 7.0, 10.0, 14.0, 19.0, 26.0, 35.0, 47.0, 63.0, 85.0, 120.0, FAR)


class Ground:
    """Draws the ground of one plan. `rng` is its own stream."""

    def __init__(self, stage: Stage, plan: Plan, rng: np.random.Generator) -> None:
        self.stage = stage
        self.plan = plan
        self.rng = rng
        grey = between(rng, 78, 130)
        self.asphalt = vary(rng, (grey, grey, grey * 1.02), 5)
        self.paint_rgb: Rgb = pick(rng, ((226.0, 226.0, 222.0), (226.0, 226.0, 222.0), (222.0, 190.0, 92.0)))

    def draw(self) -> None:
        """Draw everything on the ground."""
        left, right = self.plan.sides
        self.strip(labels.ROAD, self.asphalt, left.kerb, right.kerb)
        self._wear()
        self._markings()
        for side in self.plan.sides:
            self._side(side)
        if self.plan.junction is not None:
            self._junction(self.plan.junction)
        if self.plan.rails is not None:
            self._rails(self.plan.rails)
        if self.plan.zebra is not None:
            self._zebra(self.plan.zebra)

    def strip(
        self,
        label: int,
        rgb: Rgb,
        x0: float,
        x1: float,
        z0: float = NEAR,
        z1: float = FAR,
        y: float = 0.0,
        grain: float = 1.0,
    ) -> None:
        """A band along the street between x0 and x1, from z0 to z1."""
        stops = [z0, *(z for z in _STATIONS if z0 < z < z1), z1]
        outline: list[Point3] = [(x0, y, z) for z in stops]
        outline += [(x1, y, z) for z in reversed(stops)]
        # The haze over the ground is laid on by row afterwards; see finish.py.
        self.stage.fill(self.stage.paint(label, rgb, UP, 0.0, grain), outline)

    def _wear(self) -> None:
        """Wheel tracks, patches and manhole covers."""
        rng = self.rng
        for lane in (0.0, -LANE):
            for x in (-0.75, 0.75):
                self.strip(labels.ROAD, scaled(self.asphalt, 0.95), lane + x - 0.3, lane + x + 0.3)
        for _ in range(pick(rng, (1, 2, 3))):
            x, z = between(rng, -4.5, 1.5), between(rng, 4, 14)
            tone = scaled(self.asphalt, between(rng, 0.8, 1.12))
            self.strip(labels.ROAD, tone, x, x + between(rng, 0.6, 1.8), z, z + between(rng, 1, 4))
        if chance(rng, 0.5):
            x, z = between(rng, -3, 1), between(rng, 5, 10)
            self.strip(labels.ROAD, scaled(self.asphalt, 0.62), x, x + 0.7, z, z + 0.7)

    def _markings(self) -> None:
        rng = self.rng
        left, right = self.plan.sides
        dashed, length = chance(rng, 0.7), between(rng, 2.0, 3.5)
        z = between(rng, 1.0, 4.0)
        while dashed and z < 60:
            self.strip(labels.ROAD, self.paint_rgb, -1.73, -1.58, z, z + length, grain=0.6)
            z += length * 2.1
        if not dashed:
            self.strip(labels.ROAD, self.paint_rgb, -1.73, -1.58, grain=0.6)
        if right.kerb > 2.5 and chance(rng, 0.6):
            self.strip(labels.ROAD, self.paint_rgb, 1.7, 1.82, grain=0.6)
        if left.kerb < -6 and chance(rng, 0.6):
            self.strip(labels.ROAD, self.paint_rgb, -1.82 - LANE, -1.7 - LANE, grain=0.6)
        if self.plan.junction is not None:
            stop = self.plan.junction - 1.4
            self.strip(labels.ROAD, self.paint_rgb, -1.5, 1.6, stop, stop + 0.5, grain=0.6)

    def _side(self, side: Side) -> None:
        rng, sign = self.rng, side.sign
        grass = self.grass()
        self.strip(labels.TERRAIN, grass, side.kerb, sign * 150, y=KERB)
        inner = side.kerb + sign * side.verge
        base = between(rng, 118, 172)
        paving = pick(rng, ((base, base, base), (base, base * 0.94, base * 0.86), (base, base * 0.82, base * 0.74)))
        self.strip(labels.SIDEWALK, paving, inner, side.walk, y=KERB, grain=0.8)
        if side.green == side.walk:
            # Paved up to the houses, and a little under them.
            self.strip(labels.SIDEWALK, paving, side.walk, side.walk + sign * 40, y=KERB, grain=0.8)
        self._tufts(side, grass)
        self._joints(side, inner, scaled(paving, 0.86))
        self._kerb(side)

    def grass(self) -> Rgb:
        """Grass from fresh to dry, or bare earth."""
        shades = ((96.0, 126.0, 62.0), (112.0, 134.0, 72.0), (140.0, 138.0, 84.0), (138.0, 116.0, 86.0))
        return vary(self.rng, pick(self.rng, shades), 12)

    def _tufts(self, side: Side, grass: Rgb) -> None:
        """Blades of grass on what is near, standing up a little."""
        rng = self.rng
        bands = [(side.kerb + side.sign * 0.3, side.kerb + side.sign * (side.verge - 0.1))] if side.verge else []
        if side.green != side.walk and side.barrier == "none":
            bands.append((side.walk + side.sign * 0.1, side.green))
        parts = [self.stage.paint(labels.TERRAIN, scaled(grass, f), UP, 0.0, 1.0) for f in (0.7, 0.85, 1.2)]
        for x0, x1 in bands:
            for a, b in rng.random((80, 2)).tolist():
                x, z = x0 + (x1 - x0) * a, 3.5 + 14 * b
                s = 0.03 + 0.003 * z
                self.stage.fill(
                    pick(rng, parts), [(x - s, KERB, z), (x + s, KERB, z), (x + s * 0.4, KERB + 1.6 * s, z)]
                )

    def _joints(self, side: Side, inner: float, rgb: Rgb) -> None:
        """The lines between paving slabs, where they are wide enough to be seen."""
        step = between(self.rng, 1.0, 1.7)
        z = between(self.rng, 3.0, 4.0)
        while z < 19:
            width = 0.035 + 0.004 * z
            self.strip(labels.SIDEWALK, rgb, inner, side.walk, z, z + width, KERB, 0.8)
            z += step
        for share in (0.33, 0.67):
            x = inner + (side.walk - inner) * share
            self.strip(labels.SIDEWALK, rgb, x, x + 0.05, NEAR, 22.0, KERB, 0.8)

    def _kerb(self, side: Side) -> None:
        """The stone edge: its top and the face towards the road."""
        stone = vary(self.rng, (176.0, 174.0, 168.0), 14)
        self.strip(labels.SIDEWALK, stone, side.kerb, side.kerb + side.sign * 0.22, y=KERB, grain=0.5)
        part = self.stage.paint(labels.SIDEWALK, scaled(stone, 0.82), (-side.sign, 0.0, 0.0), 0.0, 0.5)
        low: list[Point3] = [(side.kerb, 0.0, z) for z in _STATIONS]
        high: list[Point3] = [(side.kerb, KERB, z) for z in reversed(_STATIONS)]
        self.stage.fill(part, low + high)

    def _junction(self, z: float) -> None:
        part = self.stage.paint(labels.ROAD, self.asphalt, UP, 0.0, 1.0)
        z1 = z + JUNCTION_WIDTH
        self.stage.fill(part, [(-150.0, 0.0, z), (150.0, 0.0, z), (150.0, 0.0, z1), (-150.0, 0.0, z1)])

    def _rails(self, x: float) -> None:
        bed = scaled(self.asphalt, between(self.rng, 0.84, 1.1))
        self.strip(labels.ROAD, bed, x - 1.15, x + 1.15)
        for offset in (-0.72, 0.72):
            self.strip(labels.ROAD, (58.0, 56.0, 56.0), x + offset - 0.1, x + offset + 0.1, grain=0.2)
            self.strip(labels.ROAD, (172.0, 176.0, 182.0), x + offset - 0.04, x + offset + 0.04, grain=0.2)

    def _zebra(self, z: float) -> None:
        left, right = self.plan.sides
        x = left.kerb + 0.35
        while x < right.kerb - 0.5:
            self.strip(labels.ROAD, (228.0, 228.0, 224.0), x, x + 0.5, z, z + 2.8, grain=0.6)
            x += 1.0

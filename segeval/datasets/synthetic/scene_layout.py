"""The plan of a street: every object in it, in metres, before any pixel is drawn.

Nothing here knows the picture's size, so a seed gives the same street at all sizes.
"""

from dataclasses import dataclass, field

import numpy as np

from segeval.datasets.synthetic.camera import View
from segeval.datasets.synthetic.sampling import between, chance, pick

KERB = 0.13
"""Height of the sidewalk over the road, in metres."""
LANE = 3.3


@dataclass(frozen=True)
class Item:
    """One thing: what it is, where it stands and the seed of its own looks."""

    kind: str
    x: float
    z: float
    seed: int
    yaw: float = 0.0
    ground: float = 0.0
    reach: float = 0.0
    """How far it extends towards the camera from z; nearer things are drawn later."""


@dataclass(frozen=True)
class Side:
    """One side of the street; distances are x of that side, sign included."""

    sign: float
    kerb: float
    walk: float
    """Outer edge of the sidewalk."""
    green: float
    """Outer edge of the grass behind the sidewalk; equals `walk` where there is none."""
    verge: float
    """Width of the grass between kerb and sidewalk, 0 for none."""
    barrier: str
    """"wall", "fence", "hedge" or "none", standing between sidewalk and grass."""
    built: bool
    """Houses along the outer edge; else trees."""
    seed: int


@dataclass
class Plan:
    """A whole street."""

    view: View
    sides: tuple[Side, Side]
    end: float
    """Distance at which a row of houses or trees closes the street."""
    junction: float | None
    """Near edge of a street that crosses."""
    zebra: float | None
    rails: float | None
    """x of the tram track."""
    bonnet: bool
    items: list[Item] = field(default_factory=list)


JUNCTION_WIDTH = 7.5


def sample_plan(rng: np.random.Generator) -> Plan:
    """A street with its traffic."""
    view = View(
        focal=between(rng, 0.9, 1.15),
        horizon=between(rng, 0.38, 0.5),
        centre=between(rng, -0.14, 0.14),
        height=between(rng, 1.5, 2.3),
        bend=between(rng, -1, 1) / 220 if chance(rng, 0.6) else 0.0,
    )
    right = 1.75 + (2.3 if chance(rng, 0.6) else 0.25)
    left = -1.75 - LANE - (2.3 if chance(rng, 0.5) else 0.3)
    plan = Plan(
        view=view,
        sides=(_side(rng, -1.0, left), _side(rng, 1.0, right)),
        end=between(rng, 45, 80),
        junction=between(rng, 13, 26) if chance(rng, 0.45) else None,
        zebra=between(rng, 6.5, 11) if chance(rng, 0.45) else None,
        rails=pick(rng, (-LANE, -LANE, 0.0)) if chance(rng, 0.5) else None,
        bonnet=chance(rng, 0.2),
    )
    _Filler(plan, rng).fill()
    return plan


def _side(rng: np.random.Generator, sign: float, kerb: float) -> Side:
    barrier = pick(rng, ("none", "wall", "wall", "fence", "fence", "hedge"))
    verge = between(rng, 1.0, 1.8) if chance(rng, 0.35) else 0.0
    walk = kerb + sign * (verge + between(rng, 2.0, 3.4))
    built = chance(rng, 0.72)
    depth = 0.0
    if barrier != "none":
        depth = between(rng, 1.5, 5.0)
    elif not built or chance(rng, 0.3):
        depth = between(rng, 2.0, 7.0)
    return Side(sign, kerb, walk, walk + sign * depth, verge, barrier, built, int(rng.integers(1 << 30)))


class _Filler:
    """Puts traffic, people and furniture into a plan."""

    def __init__(self, plan: Plan, rng: np.random.Generator) -> None:
        self.plan = plan
        self.rng = rng

    def fill(self) -> None:
        """Fill the plan; big vehicles first, since they take whole lanes."""
        self._lanes()
        self._crossing_traffic()
        self._parking()
        self._two_wheelers()
        for side in self.plan.sides:
            self._furniture(side)
            self._pedestrians(side)
            self._parked_cycles(side)
        self._crossing_people()

    def add(self, kind: str, x: float, z: float, *, yaw: float = 0.0, ground: float = 0.0, reach: float = 0.0) -> None:
        """Put one thing down."""
        seed = int(self.rng.integers(1 << 30))
        self.plan.items.append(Item(kind, x, z, seed, yaw, ground, reach))

    def _from(self, x: float, nearest: float = 4.5) -> float:
        """The distance from which something at x stands inside a 2:1 picture."""
        return max(nearest, (abs(x) + 0.5) * self.plan.view.focal / 0.92)

    def _lanes(self) -> None:
        rng, rails = self.rng, self.plan.rails
        for lane, yaw in ((0.0, 0.0), (-LANE, 3.14159265)):
            if rails is not None and rails == lane and chance(rng, 0.85):
                near = between(rng, 8, 15) if lane < 0 else between(rng, 10, 16)
                self.add("tram", lane, near + 11.0, yaw=yaw, reach=11.0)
                continue
            z = between(rng, 7.5, 14)
            for _ in range(2):
                kind = pick(rng, ("car", "car", "truck", "truck", "bus", "bus", "bus", "none"))
                half = {"car": 2.2, "truck": 4.0, "bus": 5.5, "none": 2.0}[kind]
                if z > 21:
                    break
                if kind != "none":
                    self.add(kind, lane + between(rng, -0.25, 0.25), z + half, yaw=yaw, reach=half)
                z += 2 * half + between(rng, 4, 9)

    def _crossing_traffic(self) -> None:
        junction = self.plan.junction
        if junction is None or not chance(self.rng, 0.6):
            return
        kind = pick(self.rng, ("car", "car", "bus", "truck", "tram"))
        yaw = pick(self.rng, (1.0, -1.0)) * 1.57079633
        z = junction + JUNCTION_WIDTH * (0.7 if yaw < 0 else 0.3)
        self.add(kind, between(self.rng, -7, 7), z, yaw=yaw, reach=1.2)

    def _parking(self) -> None:
        rng = self.rng
        for side in self.plan.sides:
            lane_edge = 1.75 if side.sign > 0 else -1.75 - LANE
            if abs(side.kerb - lane_edge) < 2.0:
                continue
            x = side.kerb - side.sign * 1.1
            yaw = 0.0 if side.sign > 0 else 3.14159265
            z = between(rng, 5.5, 9.0)
            while z < 21:
                kind = pick(rng, ("car", "car", "car", "car", "truck", "motorcycle", "none"))
                half = {"car": 2.2, "truck": 3.8, "motorcycle": 1.0, "none": 2.0}[kind]
                if kind == "motorcycle":
                    turn = side.sign * between(rng, 0.3, 0.9)
                    if self._free_of_junction(z) and self._from(x) < z < 13:
                        self.add("motorcycle", x, z, yaw=turn)
                elif kind != "none" and self._free_of_junction(z, half) and z - half > 3.5:
                    self.add(kind, x, z + half, yaw=yaw, reach=half)
                z += 2 * half + between(rng, 1.0, 3.0)

    def _two_wheelers(self) -> None:
        rng = self.rng
        for kind, odds in (("cyclist", 0.62), ("motorcyclist", 0.62), ("cyclist", 0.2), ("motorcyclist", 0.2)):
            if chance(rng, odds):
                x = pick(rng, (between(rng, 1.0, 2.4), between(rng, -3.6, -1.4)))
                z = between(rng, self._from(x, 4.4), 9.5)
                self.add(kind, x, z, yaw=between(rng, -0.75, 0.75), reach=0.3)

    def _furniture(self, side: Side) -> None:
        rng = self.rng
        x = side.kerb + side.sign * 0.45
        z = between(rng, self._from(x, 5.0), 10.0)
        kinds = ("lamp", "sign", "signal", "tree", "signal", "sign", "lamp")
        while z < 17:
            kind = pick(rng, kinds)
            if self._free_of_junction(z):
                self.add(kind, x, z, ground=KERB, yaw=side.sign)
            z += between(rng, 2.2, 5.0)
        while z < 42:
            if chance(rng, 0.5) and self._free_of_junction(z):
                self.add("tree", x, z, ground=KERB)
            z += between(rng, 5, 9)

    def _pedestrians(self, side: Side) -> None:
        rng = self.rng
        for _ in range(pick(rng, (0, 1, 1, 2, 3))):
            x = side.kerb + side.sign * between(rng, 0.5, 2.2)
            z = between(rng, self._from(x), 10.5)
            for i in range(pick(rng, (1, 1, 2))):
                self.add("person", x + i * 0.6, z + i * 0.1, ground=KERB, yaw=pick(rng, (-1.0, 1.0)))

    def _parked_cycles(self, side: Side) -> None:
        rng = self.rng
        if not chance(rng, 0.42):
            return
        kind = pick(rng, ("bicycle", "bicycle", "bicycle", "motorcycle"))
        x = side.kerb + side.sign * between(rng, 0.9, 1.5)
        z = between(rng, self._from(x + side.sign * 0.5), 9.0)
        for i in range(pick(rng, (1, 2, 3))):
            self.add(kind, x + i * 0.35 * side.sign, z + i * 0.8, ground=KERB, yaw=between(rng, -0.5, 0.5))

    def _crossing_people(self) -> None:
        zebra = self.plan.zebra
        if zebra is None:
            return
        for _ in range(pick(self.rng, (0, 1, 2, 3))):
            x = between(self.rng, self.plan.sides[0].kerb, self.plan.sides[1].kerb)
            self.add("person", x, zebra + between(self.rng, 0.4, 2.4), yaw=pick(self.rng, (-1.0, 1.0)))

    def _free_of_junction(self, z: float, half: float = 0.3) -> bool:
        junction = self.plan.junction
        return junction is None or not junction - 2 * half - 0.6 < z < junction + JUNCTION_WIDTH + 0.6

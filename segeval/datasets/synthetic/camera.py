"""The camera: metres in the street to pixels in the picture.

World axes: x to the right of the camera, y up from the road, z forward, all in
metres with the origin on the road below the camera. The picture plane stays
vertical and is shifted instead of tilted, so that upright edges stay upright.
"""

from dataclasses import dataclass

Point = tuple[float, float]
Point3 = tuple[float, float, float]

NEAR = 0.9
"""Points nearer than this many metres are moved to this distance."""


@dataclass(frozen=True)
class View:
    """What the camera is, independent of the picture size.

    Lengths on the picture are in picture heights, so a view gives the same
    scene at every size; a wider picture shows more to the left and right.
    """

    focal: float
    """Focal length, in picture heights."""
    horizon: float
    """Row of the horizon from the top, in picture heights."""
    centre: float
    """Vanishing point of a straight street right of the middle, in picture heights."""
    height: float
    """Height above the road, in metres."""
    bend: float
    """Curvature of the street, in 1/m; positive bends to the right."""


@dataclass(frozen=True)
class Camera:
    """A view at one picture size, `height` x `width` pixels."""

    view: View
    height: float
    width: float

    def project(self, x: float, y: float, z: float) -> Point:
        """(column, row) of a street point; x is counted from the bent centre line."""
        z = max(z, NEAR)
        view = self.view
        zoom = view.focal / z
        u = view.centre + zoom * (x + 0.5 * view.bend * z * z)
        v = view.horizon - zoom * (y - view.height)
        return (0.5 * self.width + self.height * u, self.height * v)

    def pixels(self, metres: float, z: float) -> float:
        """Length on the picture of `metres` across the line of sight at distance z."""
        return self.height * self.view.focal * metres / max(z, NEAR)

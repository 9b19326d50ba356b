"""From an adversarial set to a bundle that a device can run; replay and benchmark of a bundle on this machine."""

from .bench import bench
from .deploy import deploy
from .replay import replay

__all__ = ["bench", "deploy", "replay"]

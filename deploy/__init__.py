"""From an adversarial set to a bundle that a device can run; replay and benchmark of a bundle on this machine."""

from segeval.deploy.bench import bench
from segeval.deploy.deploy import deploy
from segeval.deploy.replay import replay

__all__ = ["bench", "deploy", "replay"]

"""From an adversarial set to a bundle that a device can run, and the replay of a bundle on this machine."""

from segeval.deploy.deploy import deploy
from segeval.deploy.replay import replay

__all__ = ["deploy", "replay"]

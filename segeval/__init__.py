"""segeval: measure how much of an adversarial attack on a segmentation network survives deployment."""

__version__ = "0.1.0"

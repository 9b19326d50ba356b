"""Procedural street scenes with Cityscapes labels; nothing reaches into this package but by what is named here.

`render_scene(seed, height, width)` draws one; see `scene.py` for the order in which it does so. Needs numpy and
Pillow only.
"""

from segeval.datasets.synthetic.scene import Scene, render_scene
from segeval.datasets.synthetic.splits import SPLITS, open_synthetic

__all__ = ["SPLITS", "Scene", "open_synthetic", "render_scene"]

"""Procedural street scenes with Cityscapes labels. Other packages use only the names exported here.

`render_scene(seed, height, width)` draws one; see `scene.py` for the order of drawing. Needs numpy and
Pillow only.
"""

from segeval.datasets.synthetic.scene import Scene, render_scene
from segeval.datasets.synthetic.splits import SPLITS, open_synthetic

__all__ = ["SPLITS", "Scene", "open_synthetic", "render_scene"]

"""Procedural street scenes with Cityscapes labels.

`render_scene(seed, height, width)` draws one; see `scene.py` for the order in
which it does so. Needs numpy and Pillow only.
"""

from segeval.datasets.synthetic.scene import Scene, render_scene

__all__ = ["Scene", "render_scene"]

"""The runner for the device: replays the images of a bundle through its engines.

Python 3.8 or later, the standard library and numpy; each backend brings its own engine. It depends on nothing else
of segeval, and is shipped inside every bundle as ``runner.pyz``.
"""

__version__ = "0.1.0"

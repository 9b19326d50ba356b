"""The TensorRT of this process, named once: ``tensorrt``, or ``tensorrt_rtx``, which has the same API.

A process uses one of them, since loggers and monitors derive from the classes of one, and both libraries keep the first
logger that they meet.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from segeval_runner.backends.tensorrt.missing import remedy
from segeval_runner.backends.tensorrt.versions import require_supported
from segeval_runner.errors import BackendError

__all__ = ["INSTALL", "load", "trt", "use"]

if TYPE_CHECKING:
    import tensorrt as trt
else:
    trt = None

INSTALL = {
    "tensorrt": "on a Jetson: apt install nvidia-jetpack; elsewhere: pip install tensorrt",
    "tensorrt_rtx": "pip install tensorrt-rtx-cu13",
}
"""The modules, and how to install each."""


def load(name: str) -> Any:
    """The module. Raises BackendError if it is not installed, does not load or is too old."""
    try:
        module = importlib.import_module(name)
    except (ImportError, OSError) as error:
        raise BackendError("TensorRT cannot be used: {}".format(error), remedy(error, INSTALL[name])) from error
    require_supported(module)
    return module


def use(name: str) -> None:
    """Let the files of this folder use that module. Raises BackendError like `load`, or if they use another one."""
    global trt
    module = load(name)
    if trt is not None and trt is not module:
        raise BackendError("this process uses {} already".format(trt.__name__), "run {} in another".format(name))
    trt = module

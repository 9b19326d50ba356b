"""Memory, streams and times of a CUDA device, through pycuda or through CUDA's runtime library alone."""

from __future__ import annotations

from segeval_runner.cuda.memory import Cuda, DeviceBuffer, Event, Graph, Stream
from segeval_runner.cuda.with_cudart import Cudart
from segeval_runner.cuda.with_pycuda import NO_GRAPHS, Pycuda
from segeval_runner.errors import BackendError

__all__ = ["KINDS", "Cuda", "DeviceBuffer", "Event", "Graph", "Stream", "open_cuda"]

KINDS = ("auto", "pycuda", "cudart")


def open_cuda(kind: str, graphs: bool = False) -> Cuda:
    """The first visible device.

    Args:
        kind: "pycuda", "cudart", or "auto" for the first of them that works.
        graphs: whether CUDA graphs are wanted; pycuda has none, so "auto" is then "cudart".

    Raises:
        BackendError: that says what is missing.
    """
    if kind not in KINDS:
        raise BackendError("no memory backend {!r}".format(kind), "backends are: {}".format(", ".join(KINDS)))
    if graphs and kind == "pycuda":
        raise BackendError(*NO_GRAPHS)
    if kind != "auto" or graphs:
        return open_one("cudart" if graphs else kind)
    try:
        return open_one("pycuda")
    except BackendError as error:
        first = error
    try:
        return open_one("cudart")
    except BackendError as error:
        raise BackendError("{}; {}".format(first.what, error.what), error.hint) from error


def open_one(kind: str) -> Cuda:
    """The device by one way alone."""
    return Pycuda() if kind == "pycuda" else Cudart()

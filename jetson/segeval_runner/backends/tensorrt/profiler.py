"""Milliseconds of each layer, as TensorRT's own events have them."""

from __future__ import annotations

from statistics import median
from typing import Dict, List

from segeval_runner.backends.tensorrt.library import trt


class Profiler(trt.IProfiler):
    """Notes in `calls`, for each call that was begun, the milliseconds by layer, in the engine's order."""

    def __init__(self) -> None:
        trt.IProfiler.__init__(self)
        self.calls: List[Dict[str, float]] = []

    def begin(self) -> None:
        """A call follows."""
        self.calls.append({})

    def report_layer_time(self, layer_name: str, ms: float) -> None:
        """Called by TensorRT once for each layer of a call, before the call returns."""
        times = self.calls[-1]
        times[layer_name] = times.get(layer_name, 0.0) + ms

    def medians(self) -> Dict[str, float]:
        """Of each layer over the calls, in the engine's order; nothing if TensorRT told of none."""
        names = self.calls[0] if self.calls else {}
        return {name: median(call.get(name, 0.0) for call in self.calls) for name in names}

"""The time per layer, in a separate pass, because a profiler slows the calls."""

from __future__ import annotations

import time
from statistics import median
from typing import Any, Callable, Dict, Iterator, List

from segeval_runner.backends import Backend
from segeval_runner.bench.measure import Load

CALLS = 20
"""Calls that are profiled; the median of each layer counts."""


def profiled(active: Backend, load: Load, report: Callable[[float], None]) -> Dict[str, Any]:
    """What bench.json says about the layers of an engine.

    call_ms: of a whole call while it was profiled; more than the sum of the layers, and more than without a profiler.

    Args:
        active: the engine.
        load: images to call it with.
        report: called with the share that is done.
    """
    took: List[float] = []

    def batches() -> Iterator[Any]:
        for number in range(CALLS):
            images = load(number)
            called = time.perf_counter()
            yield images  # the engine makes its call before it asks for the next
            took.append(time.perf_counter() - called)
            report((number + 1) / CALLS)

    layers = active.layers(batches())
    return {
        "calls": CALLS,
        "call_ms": round(median(took) * 1e3, 4),
        "layers": [{"name": name, "kind": kind, "ms": round(ms, 4)} for name, kind, ms in layers],
    }


def is_argmax(name: str, kind: str) -> bool:
    """Whether a layer is ArgMax by its name or kind. TensorRT computes it as a TopK."""
    text = (name + kind).lower()
    return "argmax" in text or "topk" in text

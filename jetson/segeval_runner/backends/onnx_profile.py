"""Milliseconds of each node, from the file that ONNX Runtime's profiler writes."""

from __future__ import annotations

import json
from statistics import median
from typing import Any, Dict, List, Tuple

from segeval_runner.backends.backend import LayerTime
from segeval_runner.errors import BackendError

SUFFIX = "_kernel_time"
"""How the event of a node's computation is named, after the node."""
US = 1e-3
"""Milliseconds of the profiler's unit."""


def layer_times(text: str) -> List[LayerTime]:
    """The nodes that were computed, in order; the median of each over the calls. Raises BackendError for other text."""
    times: Dict[Tuple[str, str, str], List[float]] = {}
    try:
        for event in json.loads(text):
            if event["cat"] == "Node" and event["name"].endswith(SUFFIX):
                about: Dict[str, Any] = event["args"]
                node = (about["node_index"], event["name"][: -len(SUFFIX)], about["op_name"])
                times.setdefault(node, []).append(float(event["dur"]) * US)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackendError("ONNX Runtime's profile cannot be read: {!r}".format(error)) from error
    return [LayerTime(name, kind, median(values)) for (_, name, kind), values in times.items()]

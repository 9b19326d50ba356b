"""TensorRT's list of an engine's layers, out of its log. Needed where the engine cannot be loaded and inspected.

A line reads ``Name: conv, LayerType: correlation, Inputs: [ { Name: x, …, Datatype: Int8, … }], Constants: […],
Outputs: […], TacticName: …, StreamId: 0, Metadata: [ONNX Layer: /conv/Conv]``.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, List

FIELD = re.compile(r", (LayerType|Inputs|Constants|Outputs|TacticName|StreamId|Metadata): ")
TENSORS = ("Inputs", "Constants", "Outputs")


def layers_of(lines: Iterable[str]) -> List[Dict[str, Any]]:
    """The layers in the form of the engine inspector's JSON; of its tensors there is the type alone."""
    return [layer_of(line) for line in lines]


def layer_of(line: str) -> Dict[str, Any]:
    """The layer of one line."""
    name, *parts = FIELD.split(line)
    layer: Dict[str, Any] = dict(zip(parts[::2], parts[1::2]))
    for side in TENSORS:
        layer[side] = [{"Datatype": found} for found in re.findall(r"Datatype: (\w+)", layer.get(side, ""))]
    return {"Name": name.partition("Name: ")[2], **layer}

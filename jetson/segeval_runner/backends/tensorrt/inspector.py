"""What an engine is made of, from the JSON of TensorRT's engine inspector."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, Dict, Iterable, Optional

TYPES = {
    "fp32": "fp32|float|float32",
    "fp16": "fp16|half|float16",
    "bf16": "bf16|bfloat16",
    "fp8": "fp8|e4m3|fp8e4m3",
    "int8": "int8",
    "uint8": "uint8",
    "int32": "int32",
    "int64": "int64",
    "bool": "bool",
}
"""How TensorRT writes a type, with an execution context ("Channel major FP16 format where channel % 8 == 0") or
without ("Half")."""
FIELDS = ("format/datatype", "datatype", "format")
"""Where a tensor's type stands: in one field up to TensorRT 10, in the second of them in 11 ("DataType" in its early
releases, "Datatype" in later ones, hence without capitals), or in the third alone."""
LONGEST = 200
"""Characters of a layer's name; TensorRT joins the names of all that it fused."""
UNKNOWN = "unknown"


def precision_of(layer: Any) -> str:
    """The type that a layer computes on: that of its first input, or of its first output if it has no inputs.

    A convolution whose input is int8 multiplies int8, whatever it gives. Where the inspector says less, "unknown".
    """
    return next((found for found in (side_type(layer, side) for side in ("Inputs", "Outputs")) if found), UNKNOWN)


def side_type(layer: Any, side: str) -> Optional[str]:
    """The type of the first tensor that a layer reads ("Inputs") or writes ("Outputs"); None if it has none there."""
    tensors = layer.get(side) if isinstance(layer, dict) else None
    if not (isinstance(tensors, list) and tensors and isinstance(tensors[0], dict)):
        return None
    fields = {str(name).lower(): value for name, value in tensors[0].items()}
    return next(filter(None, (type_in(fields.get(field)) for field in FIELDS)), UNKNOWN)


def type_in(text: Any) -> Optional[str]:
    """The type that a description names, or None."""
    for name, words in TYPES.items():
        if isinstance(text, str) and re.search(r"\b({})\b".format(words), text, re.IGNORECASE):
            return name
    return None


def inspect(text: str) -> Dict[str, Any]:
    """The inspector's JSON as "layers", how many of each precision and of each type, and which has which ("listed").

    An engine is no less usable because its description cannot be read: then it has no layers that are known.
    """
    try:
        found = json.loads(text)
        layers = found["Layers"]
        counted = list(layers)
    except (ValueError, KeyError, TypeError, RecursionError):
        return {"layers": None, "precisions": {}, "layer_types": {}, "listed": []}
    listed = [[word(layer, "Name"), word(layer, "LayerType"), precision_of(layer)] for layer in counted]
    return {
        "layers": len(listed),
        "precisions": counts(precision for _, _, precision in listed),
        "layer_types": counts(kind for _, kind, _ in listed),
        "listed": listed,
    }


def word(layer: Any, field: str) -> str:
    """A text that a layer's description has, or "unknown"."""
    value = layer.get(field, UNKNOWN) if isinstance(layer, dict) else UNKNOWN
    return str(value)[:LONGEST]


def counts(values: Iterable[str]) -> Dict[str, int]:
    """How often each value occurs, by value."""
    return dict(sorted(Counter(values).items()))

"""Numeric precisions of deployed files."""

from collections.abc import Collection
from typing import Literal

Precision = Literal["fp32", "fp16", "int8", "int8-fp16"]
QUANTIZED: tuple[Precision, ...] = ("int8", "int8-fp16")
"""The precisions that are calibrated."""
HALF: tuple[Precision, ...] = ("fp16", "int8-fp16")
"""The precisions whose files hold half precision."""
LARGEST_HALF = 65504.0
"""The largest finite number of half precision."""
PRECISION_ORDER: tuple[Precision, ...] = ("int8-fp16", "int8", "fp16", "fp32")
"""From the coarsest to the finest."""


def coarsest(precisions: Collection[str]) -> str:
    """The coarsest of the precisions."""
    return next(precision for precision in PRECISION_ORDER if precision in precisions)

"""Numeric precisions of deployed files."""

from collections.abc import Collection
from typing import Literal

from segeval_runner.own import OWN

Precision = Literal["fp32", "fp16", "int8", "int8-fp16"]
EnginePrecision = Literal["fp32", "fp16", "int8", "int8-fp16", "own"]
"""Of an engine: "own" says that the user brought its file, which is in whatever precision it is."""
QUANTIZED: tuple[Precision, ...] = ("int8", "int8-fp16")
"""The precisions that are calibrated."""
HALF: tuple[Precision, ...] = ("fp16", "int8-fp16")
"""The precisions whose files hold half precision."""
LARGEST_HALF = 65504.0
"""The largest finite number of half precision."""
PRECISION_ORDER: tuple[EnginePrecision, ...] = ("own", "int8-fp16", "int8", "fp16", "fp32")
"""From the coarsest to the finest; before them the user's own files, which are what ships."""


def coarsest(precisions: Collection[str]) -> str:
    """The coarsest of the precisions, or that of the user's own files."""
    return next(precision for precision in PRECISION_ORDER if precision in precisions)


def spelled(kind: str) -> str:
    """A precision, or what the user called a file, as gates compare it: in an expression - would subtract."""
    return kind.replace("_", "-")


def in_gates(kind: str) -> str:
    """A precision, or what the user called a file, as it is written in a gate: ``int8_fp16``."""
    return kind.replace("-", "_")


def kind_of(own: str, precision: str) -> str:
    """What an engine is among those of its network: its precision, or what the user called its file.

    Args:
        own: what `own_name` gives.
        precision: of the engine.
    """
    return own or precision


def own_name(engine: str, precision: str) -> str:
    """What the user called a file of their own, ``mine`` of ``espnet-camvid.mine``; empty for a file of segeval's.

    Args:
        engine: its name in the bundle.
        precision: of the engine.
    """
    return engine.partition(".")[2] if precision == OWN else ""

"""The names of TensorRT that the runner uses: those of the stub that mypy holds its code to.

Runs on Python 3.8 too.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from segeval_runner.backends.tensorrt.versions import NEWEST, PARTIAL, Range

STUB = Path(__file__).parents[1] / "typings/tensorrt/__init__.pyi"
RTX_STUB = STUB.parents[1] / "tensorrt_rtx/__init__.pyi"
EVERY = Range(8, NEWEST)


def declared(stub: Path = STUB) -> list[str]:
    """Every class, attribute and method of the stub, as "Builder.create_network"."""
    names: list[str] = []
    collect(ast.parse(stub.read_text(encoding="utf-8")), "", names)
    return names


def collect(node: Any, prefix: str, names: list[str]) -> None:
    for child in node.body:
        if isinstance(child, ast.ClassDef):
            names.append(prefix + child.name)
            collect(child, prefix + child.name + ".", names)
        # Of what Python itself calls only __str__ is kept: an object without it would print, but say nothing.
        elif isinstance(child, ast.FunctionDef) and (not child.name.startswith("__") or child.name == "__str__"):
            names.append(prefix + child.name)
        elif isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name):
            names.append(prefix + child.target.id)


def has(bindings: Any, name: str) -> bool:
    """Whether the bindings have a name. What every Python object has does not count."""
    found = bindings
    for part in name.split("."):
        if not hasattr(found, part) or (part == "__str__" and found.__str__ is object.__str__):
            return False
        found = getattr(found, part)
    return True


def release(bindings: Any) -> tuple[int, int]:
    """Major and minor version of the API."""
    if is_rtx(bindings):
        return NEWEST, 0
    first, second = bindings.__version__.split(".")[:2]
    return int(first), int(second)


def is_rtx(bindings: Any) -> bool:
    """Whether it is TensorRT for RTX, which counts its own releases and has the API of the newest TensorRT."""
    return hasattr(bindings, "IRuntimeCache")


def major(bindings: Any) -> int:
    return release(bindings)[0]


def breaches(bindings: Any) -> list[str]:
    """Where the bindings have not what versions.py says, one line each: missing, or there where they must not be."""
    lines = []
    for name in declared():
        first, last, minor = PARTIAL.get(name, EVERY)
        expected = (first, minor) <= release(bindings) and major(bindings) <= last
        if has(bindings, name) != expected:
            there = "has no" if expected else "has, against versions.py,"
            lines.append(f"TensorRT {bindings.__version__} {there} {name}")
    return lines

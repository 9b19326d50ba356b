"""Calls held against the signatures that pybind11 writes into docstrings. Runs on Python 3.8 too."""

from __future__ import annotations

import re
from typing import Any, NamedTuple


class Parameter(NamedTuple):
    name: str
    type: str
    default: str | None


def signatures(function: Any) -> list[list[Parameter]]:
    """The parameters after self of each overload."""
    name = function.__name__
    lines = [line.strip() for line in function.__doc__.splitlines()]
    found = [re.match(rf"(?:\d+\. )?{re.escape(name)}\((.*)\) -> ", line) for line in lines]
    return [[parameter(text) for text in split(match.group(1))][1:] for match in found if match is not None]


def split(text: str) -> list[str]:
    """At the commas that are not inside brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "<[(") - (letter in ">])")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def parameter(text: str) -> Parameter:
    name, _, rest = text.partition(": ")
    kind, equals, default = rest.partition(" = ")
    return Parameter(name, kind, default if equals else None)


def bind(function: Any, arguments: tuple[Any, ...], fits: Any) -> dict[str, str]:
    """Raise TypeError unless an overload takes these positional arguments. fits: whether a value is of a type."""
    overloads = signatures(function)
    assert overloads, f"no signature in the docstring of {function.__name__}"
    for parameters in overloads:
        if len(arguments) > len(parameters) or any(each.default is None for each in parameters[len(arguments) :]):
            continue
        if all(fits(each.type, arguments[index]) for index, each in enumerate(parameters[: len(arguments)])):
            return {each.name: each.type for each in parameters}
    raise TypeError(f"{function.__name__} takes {overloads}, not {arguments}")

import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

from segeval.classes import CITYSCAPES, ClassTable

Example = Callable[[Any], Any]


def of(form: Any) -> Any:
    """A value of a type, with something in every field and two things in every list."""
    origin, arguments = get_origin(form), get_args(form)
    if form is ClassTable:
        return CITYSCAPES
    if form is Any:
        return ["téxt", {"number": 0.5}]
    if is_dataclass(form):
        hints = get_type_hints(form, include_extras=True)
        return form(**{field.name: of(hints[field.name]) for field in fields(form)})  # type: ignore[operator]
    if origin is Annotated:
        return of(arguments[0])
    if origin is Literal:
        return arguments[0]
    if origin in (Union, types.UnionType):
        return of(arguments[0])
    if origin is tuple:
        return (of(arguments[0]),) * 2 if arguments[1:] == (...,) else tuple(map(of, arguments))
    if origin is not None and issubclass(origin, Mapping):
        return {"kéy": of(arguments[1])}
    return {str: 'téxt "\\', int: 3, float: 0.1, bool: True}[form]


@pytest.fixture(scope="session")
def example() -> Example:
    """``example(AdversarialSet)`` is one, all its fields filled."""
    return of

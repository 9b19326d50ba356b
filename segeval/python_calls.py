"""What a call from Python is told: which argument does not exist, and arguments where an error names options."""

import re
from collections.abc import Callable, Mapping
from functools import wraps
from importlib import import_module
from inspect import Parameter, signature
from typing import Any, ParamSpec, TypeVar

from segeval.errors import ConfigurationError, SegevalError, nearest

OPTION = re.compile(r"--([a-z][a-z-]*)(?: ('[^']*'|(?=[a-z.,\[-]*[A-Z0-9:=/])[\w./:=,\[\]-]*[\w\]/]))?")
"""An option in an error, with the value behind it: a quoted one, or one that no word of a sentence looks like."""
OTHERWISE = {"set": "settings", "image": "ids", "bench": "benches", "model": "weights"}
"""Arguments that are not called as their options are, nor by the plural."""


Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def called_from_python(module: str, inner: str) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Make a function refuse arguments that do not exist, and its errors name arguments.

    Args:
        module: of `inner`, imported when the function is called.
        inner: what the function hands its options to; those of its parameters that have a default are options.
    """

    def decorated(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        @wraps(function)
        def call(*given: Arguments.args, **named: Arguments.kwargs) -> Result:
            kinds = kinds_of(function, getattr(import_module(module), inner))
            for name in named:
                if name not in kinds:
                    raise ConfigurationError(f"{function.__name__} has no argument {name!r}", nearest(name, kinds))
            try:
                return function(*given, **named)
            except SegevalError as error:
                told = type(error)(in_python(error.what, kinds), in_python(error.hint, kinds))
                told.typed = error
                raise told.with_traceback(error.__traceback__) from error.__cause__

        return call

    return decorated


def kinds_of(function: Callable[..., Any], inner: Callable[..., Any]) -> dict[str, str]:
    """The annotations of a function's arguments, and of the options that it hands to `inner`."""
    parameters = [each for each in signature(function).parameters.values() if each.kind is not Parameter.VAR_KEYWORD]
    parameters += [each for each in signature(inner).parameters.values() if each.default is not Parameter.empty]
    return {each.name: str(each.annotation) for each in parameters}


def in_python(text: str, kinds: Mapping[str, str]) -> str:
    """An error's text with arguments in place of the options that they stand for.

    Args:
        text: as in ``if you trust it: --allow net.py:build``.
        kinds: annotations by argument.
    """

    def argument(found: re.Match[str]) -> str:
        option, value = found[1], found[2]
        plain = option.replace("-", "_")
        name = next((each for each in (plain, f"{plain}s", OTHERWISE.get(option)) if each in kinds), None)
        return found[0] if name is None else written(name, kinds[name], value)

    return OPTION.sub(argument, text)


def written(name: str, kind: str, value: str | None) -> str:
    """An argument as one writes it: ``allow=['net.py:build']``, ``size=(64, 128)``, ``resume=True``, or its name alone.

    Args:
        name: of the argument.
        kind: its annotation.
        value: as the command line takes it, None for none.
    """
    if kind in ("bool", str(bool)):
        return f"{name}=True"
    if value is None:
        return name
    text = value.strip("'")
    if "Mapping" in kind:
        key, _, rest = text.partition("=")
        return f"{name}={ {key: rest} }"
    if "Sequence" in kind or "..." in kind:
        return f"{name}={[text] if text != value else text.split(',')}"
    if size := re.fullmatch(r"(\d+)x(\d+)", text):
        return f"{name}=({size[1]}, {size[2]})"
    return f"{name}={text if text.isdecimal() else repr(text)}"

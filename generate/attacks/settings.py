"""Settings of attacks, given as text: ``--set pgd.loss=ce``."""

import re
from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from segeval.errors import ConfigurationError

Form = TypeVar("Form")

KINDS = {int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}


def with_settings(name: str, form: type[Form], settings: Mapping[str, object]) -> Form:
    """An attack's dataclass with these settings, as text or as values.

    Args:
        name: what messages call it.
        form: the dataclass.
        settings: by field.

    Raises:
        ConfigurationError: For a value that its field does not take.
    """
    try:
        return msgspec.convert(settings, form, strict=False)
    except msgspec.ValidationError as error:
        found = re.search(r"`\$\.(\w+)", str(error))
        if found is None:
            raise ConfigurationError(f"{name}: {error}", "check the values given with --set") from error
        key = found[1]
        hint = f"--set {key} takes {possible(get_type_hints(form)[key])}"
        raise ConfigurationError(f"{name}: {key}={settings[key]} is not possible", hint) from error


def possible(kind: Any) -> str:
    """The values of a type, in words."""
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(map(str, get_args(kind)))
    if isinstance(kind, UnionType):
        return " or ".join(map(possible, get_args(kind)))
    return KINDS.get(kind, str(kind))

"""Fields of a JSON object, each of the type that it must have."""

from __future__ import annotations

from typing import Any, Type, TypeVar

from segeval_runner.errors import BundleError
from segeval_runner.strict import SHA256, UNPRINTABLE

AGAIN = "copy the bundle again, or make it again with segeval deploy"
MOST_TEXT = 1000
"""Characters of a text."""

T = TypeVar("T")


def take(record: Any, key: str, kind: Type[T]) -> T:
    """A field of a JSON object. Raises BundleError if it is missing or of another type."""
    value = record.get(key) if isinstance(record, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BundleError("the bundle is malformed: the field {!r} is missing or of another type".format(key), AGAIN)
    return value


def take_count(record: Any, key: str, most: int = (1 << 63) - 1) -> int:
    """A field that holds a whole number, 0 to `most`."""
    value = take(record, key, int)
    if not 0 <= value <= most:
        raise malformed("the field {!r} is {}, not 0 to {}".format(key, value, most))
    return value


def take_text(record: Any, key: str) -> str:
    """A field that holds a text that can be shown."""
    value = take(record, key, str)
    if len(value) > MOST_TEXT or UNPRINTABLE.search(value):
        raise malformed("the field {!r} is too long or holds control characters".format(key))
    return value


def take_sha256(record: Any, key: str) -> str:
    """A field that holds a SHA-256, 64 lower-case hexadecimal digits."""
    value = take(record, key, str)
    if not SHA256.fullmatch(value):
        raise malformed("the field {!r} is not a SHA-256".format(key))
    return value


def malformed(what: str) -> BundleError:
    """The error for a manifest that contradicts itself."""
    return BundleError("the bundle is malformed: {}".format(what), AGAIN)

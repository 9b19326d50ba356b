"""Records as JSON, written only by `encode` and read only by `decode`.

Decoding checks types strictly and names the wrong field. Formats carry a schema string with a version.
"""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from segeval.errors import ConfigurationError, FormatError, IntegrityError
from segeval_runner.digests import is_intact, sealed
from segeval_runner.strict import UNPRINTABLE, loads

Record = TypeVar("Record")
Upgrade = Callable[[object], object]


ODD = re.compile("\\\\[ubfnrt]|[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What JSON holds a control character by: an escape, or itself if it is one of the later ones."""


def encode(record: object, indent: int = 0) -> bytes:
    """JSON of a record; `indent` spaces per level, or one line if 0."""
    text = msgspec.json.encode(record)
    return msgspec.json.format(text, indent=indent) if indent else text


def encode_sealed(record: object, indent: int = 0) -> bytes:
    """JSON of a record for a file: that of `encode`, with the digest that `decode` compares as its last member."""
    data = encode(record)
    said = loads(data)
    require_printable(data, said, "the record to write")  # else nobody could read it back
    return encode(sealed(said), indent)


class Versioned(msgspec.Struct, frozen=True):
    """The one field that every version of a manifest has."""

    schema: str = ""


def decode(data: bytes | str, form: type[Record], where: str) -> Record:
    """The record in `data`. Raises FormatError naming `where` and the field that is wrong, IntegrityError.

    A record of an earlier version is read through `upgraded` of its form, which gives the JSON of today.
    Refused as well is what JSON readers understand differently, keys that occur twice above all (see `strict.loads`),
    and a record whose digest is not that of what it says.
    """
    raw = data.encode() if isinstance(data, str) else data
    try:
        upgraded: Upgrade | None = getattr(form, "upgraded", None) if is_earlier(raw, form, where) else None
        if upgraded is None:
            record, said = msgspec.json.decode(raw, type=form), loads(raw)
        else:
            said = loads(raw)
            record = msgspec.convert(upgraded(said), type=form)
    except (ValueError, RecursionError, ConfigurationError) as error:
        # ValueError: of msgspec, of text that is no UTF-8, of `loads`.
        # ConfigurationError: a record that contradicts itself, such as a class table with too few colours.
        raise FormatError(
            f"{where}: {error}", "check that it is such a file, written by this version of segeval"
        ) from error
    require_printable(raw, said, where)
    if isinstance(said, dict) and not is_intact(said):
        raise IntegrityError(f"{where} was changed after it was written: its digest does not fit", "restore the file")
    return record


def require_printable(raw: bytes, said: object, where: str) -> None:
    """Raise FormatError for a text with control characters: on a terminal they look like something else, or act."""
    if not ODD.search(raw.decode()):
        return
    level = [said]
    while level:
        for text in (each for each in level if isinstance(each, str)):
            if UNPRINTABLE.search(text):
                raise FormatError(f"{where}: a text holds control characters: {text[:80]!r}", "do not use this file")
        objects = [each for each in level if isinstance(each, dict)]
        lists = [each for each in level if isinstance(each, list)]
        level = [below for each in objects for pair in each.items() for below in pair]
        level += [below for each in lists for below in each]


def is_earlier(data: bytes, form: type[object], where: str) -> bool:
    """Whether a manifest is of an earlier version.

    Raises FormatError if a newer segeval made it: its fields may mean something else.
    """
    own = getattr(form, "schema", None)
    if not isinstance(own, str):
        return False
    name, _, version = own.partition("/")
    found = msgspec.json.decode(data, type=Versioned).schema.partition("/")
    if found[0] != name or not found[2].isdecimal():
        return False
    if int(found[2][:9]) > int(version):
        what = f"{where}: made by a newer segeval: it is {name + '/' + found[2][:9]!r}, this one reads {own!r}"
        raise FormatError(f"{what} - at `$.schema`", "install segeval from a newer checkout")
    return int(found[2][:9]) < int(version)

"""Reading untrusted input: unambiguous JSON, names that stay in their folder, plain files."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from pathlib import Path
from typing import Any, BinaryIO, Dict, Iterator, List, Tuple

MOST_DEPTH = 64
MOST_NAME = 200
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+.-]*")
SHA256 = re.compile(r"[0-9a-f]{64}")
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters, line separators and changes of the writing direction: what makes a text look like another one."""


def loads(data: bytes) -> Any:
    """JSON in UTF-8. Raises ValueError for what is no JSON, and for what JSON readers understand differently.

    That is: a key that occurs twice in an object, NaN and infinities, integers of more than 64 bits, halves of
    surrogate pairs, more than `MOST_DEPTH` levels.
    """
    text = data.decode("utf-8")
    try:
        value = json.loads(
            text, object_pairs_hook=unique, parse_constant=refuse_constant, parse_int=whole, parse_float=finite
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    require_shallow(value, escapes="\\u" in text)
    return value


def unique(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    """An object whose keys differ."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError("the key {!r} occurs twice".format(next(name for name in names if names.count(name) > 1)))
    return found


def refuse_constant(text: str) -> Any:
    """NaN, Infinity and -Infinity, which Python reads although JSON has none of them."""
    raise ValueError("{} is not a number".format(text))


def whole(text: str) -> int:
    """An integer of 64 bits at most."""
    if len(text) > 20 or not -(1 << 63) <= int(text) < 1 << 63:
        raise ValueError("the number {}... is too large".format(text[:20]))
    return int(text)


def finite(text: str) -> float:
    """A number that is not beyond the range of a double."""
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("the number {} is too large".format(text[:20]))
    return value


def require_shallow(value: Any, escapes: bool) -> None:
    """Raise ValueError for too many levels and, if the text had escapes, for strings that cannot be written."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MOST_DEPTH:
            raise ValueError("it is nested too deeply")
        objects = [item for item in level if isinstance(item, dict)]
        if escapes:
            words = [item for item in level if isinstance(item, str)] + [name for item in objects for name in item]
            "\0".join(words).encode("utf-8")
        below = [child for item in objects for child in item.values()]
        level = below + [child for item in level if isinstance(item, list) for child in item]


def printable(value: Any) -> Any:
    """A JSON value in whose texts every character that `UNPRINTABLE` names is escaped, as in ``\\x1b``."""
    if isinstance(value, str):
        return UNPRINTABLE.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), value)
    if isinstance(value, dict):
        return {printable(name): printable(each) for name, each in value.items()}
    return [printable(each) for each in value] if isinstance(value, (list, tuple)) else value


def is_name(text: str) -> bool:
    """Whether a file or folder may be called so: plain ASCII without separators, not hidden, of moderate length."""
    return len(text) <= MOST_NAME and NAME.fullmatch(text) is not None


def open_regular(path: Path) -> BinaryIO:
    """Open a plain file to read. Raises ValueError for a link, pipe, device or folder, OSError.

    The file that was opened is looked at, not its name, and without waiting for the other end of a pipe.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(str(path), flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError("it is a symbolic link") from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError("it is not a plain file")
    return open(descriptor, "rb")  # noqa: PTH123


def read_regular(path: Path, most: int) -> bytes:
    """A plain file of at most `most` bytes. Raises ValueError, OSError."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise ValueError("it has more than {} bytes".format(most))
        return file.read(size)


def lines(file: BinaryIO, most: int) -> Iterator[bytes]:
    """The lines of a file. Raises ValueError for one of more than `most` bytes."""
    line = file.readline(most + 1)
    while line:
        if len(line) > most:
            raise ValueError("a line has more than {} bytes".format(most))
        yield line
        line = file.readline(most + 1)

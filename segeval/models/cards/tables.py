"""A table of a TOML file, read strictly: every error names the file, the key, and the likely intention."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from segeval.errors import ConfigurationError, nearest
from segeval_runner.described import Three
from segeval_runner.own import MOST_LEVEL

MOST_BYTES = 1 << 20
"""Of a card."""


@dataclass(frozen=True)
class Table:
    """One table of a card.

    Attributes:
        file: the card.
        name: of the table, empty for the card itself.
        values: by key.
    """

    file: Path
    name: str
    values: Mapping[str, Any]

    def error(self, key: str, what: str, hint: str = "") -> ConfigurationError:
        """The error for one key."""
        place = f"{self.name}.{key}" if self.name else key
        return ConfigurationError(f"{self.file}: {place} {what}", hint)

    def require_known(self, known: Sequence[str]) -> None:
        """Raise ConfigurationError for a key that no card has."""
        for key in self.values:
            if key not in known:
                raise self.error(key, "is not a key of a card", nearest(key, known))

    def table(self, key: str, required: bool = True) -> "Table":
        """A table inside; an empty one where it is not there and need not be."""
        value = self.values.get(key, None if required else {})
        if not isinstance(value, Mapping):
            what = "is missing" if value is None else f"is {value!r}, not a table"
            raise self.error(key, what, f"write [{key}], and its keys below it")
        return Table(self.file, f"{self.name}.{key}" if self.name else key, value)

    def one_of(self, key: str, known: Sequence[str], usual: str | None) -> str:
        """A word. usual: where it is not said, None if it must be."""
        value = self.values.get(key, usual)
        if value is None:
            raise self.error(key, "is missing", f"it is one of {', '.join(known)}")
        if value not in known:
            raise self.error(key, f"is {value!r}", nearest(str(value), known))
        return str(value)

    def text(self, key: str, usual: str = "") -> str:
        """A text without control characters."""
        value = self.values.get(key, usual)
        if not isinstance(value, str) or not value.isprintable():
            raise self.error(key, f"is {value!r}, not a plain text")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, empty where it is not said."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, str) and each.isprintable() for each in value):
            raise self.error(key, f"is {value!r}, not a list of texts", 'write it as ["one", "two"]')
        return tuple(value)

    def number(self, key: str, value: Any) -> float:
        """A finite number of a usual size."""
        if type(value) not in (int, float) or not isfinite(value) or abs(value) > MOST_LEVEL:
            raise self.error(key, f"holds {value!r}, not a number")
        return float(value)

    def three(self, key: str, usual: Three) -> Three:
        """A number per channel."""
        value = self.values.get(key, list(usual))
        if not isinstance(value, list) or len(value) != 3:
            raise self.error(key, f"is {value!r}, not three numbers, one per channel in the file's order")
        found = [self.number(key, each) for each in value]
        return found[0], found[1], found[2]

    def whole(self, key: str, value: Any, most: int = 1 << 16) -> int:
        """A whole number from 1 to `most`."""
        if type(value) is not int or not 1 <= value <= most:
            raise self.error(key, f"holds {value!r}, not a whole number from 1 to {most}")
        return value


def read_toml(file: Path, example: str) -> tuple[bytes, Table]:
    """The bytes of a card, and its whole content; see `read_bytes` and `parsed_toml`."""
    data = read_bytes(file, example)
    return data, parsed_toml(file, data, example)


def read_bytes(file: Path, example: str) -> bytes:
    """The bytes of a card. Raises ConfigurationError for a file that cannot be read.

    Args:
        file: the card.
        example: what a card looks like, for the hint.
    """
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ConfigurationError(f"{file} is too large for a card", example)
        return file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read as a card: {error}", example) from error


def parsed_toml(file: Path, data: bytes, example: str) -> Table:
    """The whole content of a card. Raises ConfigurationError for what is no TOML; see `read_bytes`."""
    try:
        return Table(file, "", tomllib.loads(data.decode()))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{file} cannot be read as a card: {error}", example) from error

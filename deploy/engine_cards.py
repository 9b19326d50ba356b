"""How the user describes a file of their own: a TOML file that says what its input and its output are."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Literal, cast, get_args

from segeval.errors import ConfigurationError, nearest
from segeval_runner.described import Colour, Input, Kind, Layout, Output, Resize, Three
from segeval_runner.own import MOST_LEVEL

MOST_BYTES = 1 << 20
"""Of a card."""
INPUT = ("layout", "colour", "range", "mean", "std")
OUTPUT = ("name", "kind", "layout", "resize", "classes")
EXAMPLE = """\
    [input]
    layout = "NCHW"            # or "NHWC"
    colour = "RGB"             # or "BGR"
    range = 1                  # what white is; 255 if levels stay as they are
    mean = [0.485, 0.456, 0.406]
    std = [0.229, 0.224, 0.225]
    [output]
    kind = "logits"            # or "probabilities", "labels"
"""


@dataclass(frozen=True)
class Table:
    """One table of a card. Every error names the file and the key."""

    file: Path
    name: str
    values: Mapping[str, Any]

    def error(self, key: str, what: str, hint: str = "") -> ConfigurationError:
        """The error for one key."""
        return ConfigurationError(f"{self.file}: {self.name}.{key} {what}", hint)

    def require_known(self, known: Sequence[str]) -> None:
        """Raise ConfigurationError for a key that no card has."""
        for key in self.values:
            if key not in known:
                raise self.error(key, "is no key of a card", nearest(key, known))

    def one_of(self, key: str, known: Sequence[str], usual: str | None) -> str:
        """A word. usual: where it is not said, None if it must be."""
        value = self.values.get(key, usual)
        if value is None:
            raise self.error(key, "is missing", f"it is one of {', '.join(known)}")
        if value not in known:
            raise self.error(key, f"is {value!r}", nearest(str(value), known))
        return str(value)

    def text(self, key: str) -> str:
        """A text, empty where it is not said."""
        value = self.values.get(key, "")
        if not isinstance(value, str) or not value.isprintable():
            raise self.error(key, f"is {value!r}, not a name")
        return value

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


def read_card(file: Path, classes: Sequence[str]) -> tuple[Input, Output]:
    """How a file takes its images, and what it answers.

    Args:
        file: the card.
        classes: the network's, in its order.

    Raises:
        ConfigurationError: for a file that cannot be read, an unknown or missing key, or a value that cannot be.
    """
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ConfigurationError(f"{file} is too large for a card", "a card is a few lines of TOML")
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read as a card: {error}", f"a card is TOML:\n{EXAMPLE}") from error
    Table(file, "card", tables).require_known(("input", "output"))
    for name in ("input", "output"):
        if not isinstance(tables.get(name), dict):
            raise ConfigurationError(f"{file}: the table [{name}] is missing", f"a card says both:\n{EXAMPLE}")
    image = card_input(Table(file, "input", tables["input"]))
    return image, card_output(Table(file, "output", tables["output"]), image.layout, classes)


def card_input(table: Table) -> Input:
    """The table [input]. Range must be said, since nothing else tells levels from shares."""
    table.require_known(INPUT)
    if "range" not in table.values:
        raise table.error("range", "is missing", "1 if white is 1, 255 if levels stay as they are")
    brightest = table.number("range", table.values["range"])
    std = table.three("std", (1.0, 1.0, 1.0))
    if brightest <= 0 or min(std) <= 0:
        raise table.error("range" if brightest <= 0 else "std", "must be above 0")
    layout = cast("Layout", table.one_of("layout", get_args(Layout), None))
    colour = cast("Colour", table.one_of("colour", get_args(Colour), None))
    return Input(layout, colour, brightest, table.three("mean", (0.0, 0.0, 0.0)), std)


def card_output(table: Table, layout: Layout, classes: Sequence[str]) -> Output:
    """The table [output].

    Args:
        table: the table.
        layout: of the input, which the output has too unless it says otherwise.
        classes: the network's, in its order.
    """
    table.require_known(OUTPUT)
    return Output(
        cast("Kind", table.one_of("kind", get_args(Kind), None)),
        cast("Layout", table.one_of("layout", get_args(Layout), layout)),
        cast("Resize", table.one_of("resize", get_args(Resize), "bilinear")),
        table.text("name"),
        class_order(table, classes),
    )


def class_order(table: Table, classes: Sequence[str]) -> tuple[int, ...]:
    """The network's class for each of the file's; empty if they are in the network's order, or it is not said."""
    named = table.values.get("classes", [])
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise table.error("classes", "is no list of names", "name the file's classes in its order")
    for name in named:
        if name not in classes:
            raise table.error("classes", f"has {name!r}, which the network has not", nearest(name, classes))
    if len(set(named)) != len(named) or (named and len(named) != len(classes)):
        what = f"names {len(set(named))} different classes, the network has {len(classes)}"
        raise table.error("classes", what, f"each of them once, in the file's order: {', '.join(classes)}")
    order = tuple(classes.index(name) for name in named)
    return () if order == tuple(range(len(order))) else order


Format = Literal["onnx", "tensorrt"]
FORMATS: Mapping[str, Format] = {".onnx": "onnx", ".engine": "tensorrt", ".plan": "tensorrt", ".trt": "tensorrt"}
"""What a file is, by the end of its name."""

"""How the user describes a file of their own: a TOML file that says what its input and its output are."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from segeval.errors import ConfigurationError, nearest
from segeval.models.cards.reading import input_of, output_of
from segeval.models.cards.tables import Table
from segeval_runner.described import Input, Layout, Output

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
    """The table [input], in the words of a model card."""
    table.require_known(INPUT)
    return input_of(table)


def card_output(table: Table, layout: Layout, classes: Sequence[str]) -> Output:
    """The table [output].

    Args:
        table: the table.
        layout: of the input, which the output has too unless it says otherwise.
        classes: the network's, in its order.
    """
    table.require_known(OUTPUT)
    return replace(output_of(table, layout), classes=class_order(table, classes))


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

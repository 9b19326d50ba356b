"""Engine cards: TOML files that describe the input and output of a user's own file."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from segeval.errors import ConfigurationError, nearest
from segeval.models.cards.card import ENDS
from segeval.models.cards.card_reading import CARD, input_of, output_of
from segeval.models.cards.card_reading import INPUT as OF_NETWORK
from segeval.models.cards.tables import Table, read_toml
from segeval_runner.described import Input, Layout, Output

INPUT = ("layout", "colour", "range", "mean", "std")
OUTPUT = ("name", "kind", "layout", "resize", "classes")


def read_card(file: Path, classes: Sequence[str]) -> tuple[Input, Output]:
    """How a file takes its images, and what it answers.

    Args:
        file: the card.
        classes: the network's, in its order.

    Raises:
        ConfigurationError: for a file that cannot be read, an unknown or missing key, or a value that cannot be.
    """
    _, whole = read_toml(file, f"a card is TOML:\n{ENDS}")
    require_of_engine(whole)
    replace(whole, name="card").require_known(("input", "output"))
    for name in ("input", "output"):
        if not isinstance(whole.values.get(name), dict):
            raise ConfigurationError(f"{file}: the table [{name}] is missing", f"a card needs both:\n{ENDS}")
    image = card_input(whole.table("input"))
    return image, card_output(whole.table("output"), image.layout, classes)


def require_of_engine(whole: Table) -> None:
    """Raise ConfigurationError for the card of a network, naming what an engine's has not."""
    image = whole.values.get("input")
    keys = [key for key in whole.values if key in CARD and key not in ("input", "output")]
    more = (
        [f"input.{key}" for key in image if key in OF_NETWORK and key not in INPUT] if isinstance(image, dict) else []
    )
    if keys or more:
        what = f"{whole.file} is the card of a network; an engine's card has only [input] and [output]"
        hint = f"leave out {', '.join([*keys, *more])}; if the network needs this file, in a copy for --engine-card"
        raise ConfigurationError(what, hint)


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
        raise table.error("classes", "is not a list of names", "name the file's classes in its order")
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

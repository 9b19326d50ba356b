"""Reading a model card. Files and code that it names are not opened or run here."""

import re
from pathlib import Path
from typing import cast, get_args

from segeval.classes import TABLES, ClassTable, Rgb, canonical_name, parse_colour, usual_colour
from segeval.errors import ConfigurationError, nearest
from segeval.files.storage import sha256
from segeval.models.cards.card import EXAMPLE, ModelCard, Source, SourceKind
from segeval.models.cards.tables import Table, parsed_toml, read_bytes
from segeval.models.model_names import CARD as SUFFIX
from segeval.models.model_names import LABEL
from segeval_runner.described import Colour, Input, Kind, Layout, Output, Resize

CARD = ("name", "source", "input", "output", "classes", "about")
INPUT = ("layout", "colour", "range", "mean", "std", "size", "multiple_of")
OUTPUT = ("name", "kind", "layout", "resize")
CLASSES = ("table", "names", "colours", "canonical", "extra")
ABOUT = ("published", "licence", "paper", "reported")
HELP = f"a card is a TOML file such as\n{EXAMPLE}"


def read_card(path: Path) -> ModelCard:
    """The card in a file.

    Raises ConfigurationError for a file that cannot be read, an unknown or missing key, or a value that cannot be.
    """
    if path.suffix.casefold() != SUFFIX:
        onnx = path.suffix.casefold() == ".onnx"
        hint = f"make one of it: segeval model init {path}" if onnx else "docs/own-network.md shows one"
        raise ConfigurationError(f"{path} is not a model card: its name does not end in {SUFFIX}", hint)
    if not path.exists():
        raise ConfigurationError(f"no model card {path}", "make one from an ONNX file: segeval model init FILE.onnx")
    return card_of(path, read_bytes(path, HELP))


def card_of(path: Path, data: bytes) -> ModelCard:
    """The card in the bytes of a file; see `read_card`."""
    whole = parsed_toml(path, data, HELP)
    whole.require_known(CARD)
    name = whole.text("name", re.sub(r"[^A-Za-z0-9_.-]+", "-", path.stem).strip("-."))
    if not re.fullmatch(LABEL, name):
        raise whole.error(
            "name",
            f"is {name!r}",
            "use letters, digits and _ . - only, at most 64; without it, the name of the card's file is used",
        )
    source = source_of(whole.table("source"))
    image, about = whole.table("input"), whole.table("about", required=False)
    image.require_known(INPUT)
    wanted, given = input_of(image), whole.table("output")
    given.require_known(OUTPUT)
    if (output := output_of(given, wanted.layout)).kind == "labels" and source.kind != "onnx":
        what = f'is "labels", which belongs to an ONNX file that ends in ArgMax, not to {source.kind}'
        raise given.error("kind", what, "let the network give its logits: label maps have no gradient")
    table, extra = classes_of(whole.table("classes"), name)
    about.require_known(ABOUT)
    reported = about.table("reported", required=False)
    return ModelCard(
        path=path,
        sha256=sha256(data),
        name=name,
        source=source,
        input=wanted,
        output=output,
        size=size_of(image),
        multiple_of=image.whole("multiple_of", image.values.get("multiple_of", 1)),
        table=table,
        extra=extra,
        published=about.text("published"),
        licence=about.text("licence"),
        paper=about.text("paper"),
        reported={key: reported.number(key, value) for key, value in reported.values.items()},
    )


def source_of(table: Table) -> Source:
    """The table [source]: one kind, and what belongs to it."""
    kinds = get_args(SourceKind)
    table.require_known((*kinds, "weights", "arguments", "none"))
    named = [kind for kind in kinds if kind in table.values]
    if len(named) != 1:
        what = f"names {', '.join(named)}" if named else "names no network"
        hint = f"name one of {', '.join(kinds)}"
        raise ConfigurationError(f"{table.file}: [source] {what}; one is needed", hint)
    kind: SourceKind = named[0]
    text = table.text(kind)
    if not text:
        raise table.error(kind, "is empty", "name the file, or package.module:function")
    for key in ("weights", "arguments", "none"):
        if key in table.values and kind != "factory":
            raise table.error(key, f"belongs to a factory, not to {kind}", f"an {kind} file holds its own weights")
    if kind == "factory" and ":" not in text:
        hint = "write package.module:function, or ./file.py:function for a file beside the card"
        raise table.error(kind, f"is {text!r}, which names no function", hint)
    arguments = table.table("arguments", required=False)
    return Source(kind, text, table.text("weights"), arguments.values, table.texts("none"))


def input_of(table: Table) -> Input:
    """What the table [input] says of colours and layout. Range must be said: nothing else tells levels from shares."""
    if "range" not in table.values:
        raise table.error("range", "is missing", "1 if white is 1, 255 if levels stay as they are")
    brightest = table.number("range", table.values["range"])
    if brightest <= 0:
        raise table.error("range", "must be above 0", "it is the value of white, 1 or 255")
    std = table.three("std", (1.0, 1.0, 1.0))
    if min(std) <= 0:
        raise table.error("std", "must be above 0")
    layout = cast("Layout", table.one_of("layout", get_args(Layout), None))
    colour = cast("Colour", table.one_of("colour", get_args(Colour), None))
    return Input(layout, colour, brightest, table.three("mean", (0.0, 0.0, 0.0)), std)


def size_of(table: Table) -> tuple[int, int] | None:
    """The only size of images that the network takes; None for any."""
    value = table.values.get("size")
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2:
        raise table.error("size", f"is {value!r}", "write [height, width]")
    return table.whole("size", value[0]), table.whole("size", value[1])


def output_of(table: Table, layout: Layout) -> Output:
    """The table [output]. layout: of the input, which the output has too unless it says otherwise."""
    return Output(
        cast("Kind", table.one_of("kind", get_args(Kind), None)),
        cast("Layout", table.one_of("layout", get_args(Layout), layout)),
        cast("Resize", table.one_of("resize", get_args(Resize), "bilinear")),
        table.text("name"),
    )


def classes_of(table: Table, name: str) -> tuple[ClassTable, tuple[str, ...]]:
    """The table [classes]: a known class table or names, and outputs beyond it."""
    table.require_known(CLASSES)
    extra, names = table.texts("extra"), table.texts("names")
    if ("table" in table.values) == bool(names):
        raise table.error("names", "or classes.table must be given, and only one of them", f"tables: {known_tables()}")
    if not names:
        known = table.text("table")
        if known not in TABLES:
            raise table.error("table", f"is {known!r}", nearest(known, TABLES))
        for key in ("colours", "canonical"):
            if key in table.values:
                raise table.error(key, "belongs to classes.names; a known table has its own")
        return TABLES[known], extra
    doubled = [each for each in names if [*map(str.casefold, names)].count(each.casefold()) > 1]
    if doubled:
        raise table.error("names", f"has {doubled[0]!r} more than once")
    canonical = table.texts("canonical") or tuple(map(canonical_name, names))
    colours = tuple(colour_of(table, each) for each in table.texts("colours"))
    for key, values in (("colours", colours), ("canonical", canonical)):
        if values and len(values) != len(names):
            raise table.error(key, f"has {len(values)} entries, classes.names {len(names)}", "give one for each class")
    usual = tuple(usual_colour(each, place) for place, each in enumerate(canonical))
    return ClassTable(name, names, colours or usual, canonical), extra


def known_tables() -> str:
    """Names of the class tables, for a hint."""
    return ", ".join(TABLES)


def colour_of(table: Table, text: str) -> Rgb:
    """``#rrggbb`` as a colour."""
    if (colour := parse_colour(text)) is None:
        raise table.error("colours", f"has {text!r}", "write colours as #rrggbb")
    return colour

"""The contents of a model card."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from segeval.classes import ClassTable
from segeval.errors import ConfigurationError
from segeval.models.spec import Channels, ModelSpec, Preprocessing
from segeval.places import with_home
from segeval_runner.described import LEVELS, Input, Output, Three

SourceKind = Literal["onnx", "factory", "torchscript", "exported"]

ENDS = """\
    [input]
    layout = "NCHW"            # or "NHWC"
    colour = "RGB"             # or "BGR"
    range = 1                  # what white is; 255 if levels stay as they are
    mean = [0.485, 0.456, 0.406]
    std = [0.229, 0.224, 0.225]
    [output]
    kind = "logits"            # or "probabilities", "labels"
"""
"""How a card says what goes in and what comes out; a card of an engine file says nothing else."""

EXAMPLE = f"""\
    [source]
    onnx = "mynet.onnx"        # or factory = "package.module:function"
{ENDS}    [classes]
    table = "cityscapes"       # or names = ["road", "car"]
"""
CARD_OF_CLASSES = (
    "give [classes] of the card the names of the dataset, in the order of its labels, and the other outputs as extra; "
    "or the Cityscapes name of each class as classes.canonical"
)
"""What to do about a card whose classes are not those of a dataset."""


@dataclass(frozen=True)
class Source:
    """Where a network comes from.

    Attributes:
        kind: of it.
        named: the file, relative to the card's folder, or ``package.module:function``, or ``./file.py:function``.
        weights: a file of parameters for what a factory builds, relative to the card's folder; empty for none.
        arguments: what a factory is called with. A table with a key ``factory`` is itself built first.
        none: names of more arguments, which are None.
    """

    kind: SourceKind
    named: str
    weights: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    none: tuple[str, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """The code that loading it would run, as it is named: its own first, then what builds its arguments."""
        if self.kind == "onnx":
            return ()
        return tuple(dict.fromkeys((self.named, *factories_in(self.arguments))))

    @property
    def files(self) -> tuple[str, ...]:
        """The files that the card itself names: the network, code and weights."""
        places = [code.rpartition(":")[0] for code in self.codes] if self.kind == "factory" else [self.named]
        code = [place for place in places if self.kind != "factory" or place.endswith(".py")]
        return (*code, *([self.weights] if self.weights else []))


@dataclass(frozen=True)
class ModelCard:
    """A model card.

    Attributes:
        path: of the card.
        sha256: of its bytes.
        name: of the network in sets and reports.
        input: what the network wants to be done to an image.
        output: what it answers, and how deployment enlarges an answer that is smaller than the image.
        size: (height, width) of the only images that it takes, None for any.
        multiple_of: what both sides of an image must be multiples of.
        table: its classes, in the order of its outputs.
        extra: outputs after those of the table's classes, such as a background.
        published: where its authors offer weights.
        moved: where files are that are no longer where the card names them, by what it calls them.
    """

    path: Path
    sha256: str
    name: str
    source: Source
    input: Input
    output: Output
    size: tuple[int, int] | None
    multiple_of: int
    table: ClassTable
    extra: tuple[str, ...] = ()
    published: str = ""
    licence: str = ""
    paper: str = ""
    reported: Mapping[str, float] = field(default_factory=dict)
    moved: Mapping[str, Path] = field(default_factory=dict)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Class name of each output."""
        return (*self.table.names, *self.extra)

    @property
    def spec(self) -> ModelSpec:
        """The card in the words of registered networks. Raises ConfigurationError for an odd mean or std."""
        try:
            preprocessing = preprocessing_of(self.input)
        except ConfigurationError as error:
            said = self.input
            what = f"{self.path}: input.mean {said.mean} and input.std {said.std} do not fit input.range {said.range:g}"
            hint = "mean and std are in units of range, which is the value of white: 1 or 255"
            raise ConfigurationError(what, hint) from error
        return ModelSpec(
            name=self.name,
            builder="",
            outputs=self.outputs,
            table=self.table,
            preprocessing=preprocessing,
            multiple_of=self.multiple_of,
            size=self.size or (0, 0),
            weights=None,
            licence=self.licence,
            paper=self.paper,
            reported=self.reported,
            only_size=self.size is not None,
        )

    def beside(self, file: str) -> Path:
        """A file that the card names."""
        return self.moved.get(file) or self.path.parent / with_home(file)


def factories_in(arguments: Mapping[str, Any]) -> Iterator[str]:
    """The factories in the arguments of a factory, at every depth."""
    for value in arguments.values():
        if isinstance(value, Mapping) and "factory" in value:
            yield str(value["factory"])
            yield from factories_in(value)


def preprocessing_of(wanted: Input) -> Preprocessing:
    """The normalization of 0-255 levels in RGB order that gives what a network wants."""
    factor = LEVELS / wanted.range

    def in_levels(values: Three) -> Channels:
        red, green, blue = values if wanted.colour == "RGB" else values[::-1]
        return red * factor, green * factor, blue * factor

    return Preprocessing(in_levels(wanted.mean), in_levels(wanted.std), bgr=wanted.colour == "BGR")

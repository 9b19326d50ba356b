"""``segeval model``: model cards, which describe the user's own networks."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segeval.commands.options import (
    USUAL_TASK,
    DataRoot,
    Device,
    Ignore,
    Option,
    Quiet,
    Size,
    Split,
    check_device,
    command,
    parse_size,
)
from segeval.console import say
from segeval.errors import ConfigurationError
from segeval.places import dataset_root

if TYPE_CHECKING:
    from segeval.classes import ClassTable
    from segeval.datasets import Dataset
    from segeval.deploy.cards.trials import Labelled

model = typer.Typer(no_args_is_help=True, help="Write and check a model card, which describes your network.")

DEFAULT = "folder"
"""What a folder holds of which nobody says it."""
DatasetName = Annotated[
    str | None, Option("--dataset", help="A name from `segeval ls datasets`.", show_default="folder with --data-root")
]


@model.command()
def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The ONNX file of a float network.")],
    out: Annotated[
        Path | None, Option("--out", metavar="CARD", help="Where to write the card.", show_default="FILE with .toml")
    ] = None,
    image: Annotated[
        Path | None, Option("--image", help="Image to try colour orders and normalizations on.", show_default=False)
    ] = None,
    mask: Annotated[
        Path | None, Option("--mask", help="Labels of --image: an 8-bit PNG of class indices.", show_default=False)
    ] = None,
    data_root: DataRoot = None,
    dataset: DatasetName = None,
    split: Split = "",
    ignore: Ignore = [],
    quiet: Quiet = False,
) -> None:
    """Write a model card from an ONNX file. Guesses are marked as unsure.

    \b
    segeval model init mynet.onnx

    \b
    segeval model init mynet.onnx --image street.png --mask street-labels.png

    \b
    segeval model init mynet.onnx --data-root pictures
    """
    if (image is None) != (mask is None):
        raise ConfigurationError("--image and --mask need each other", "give both: an image and its labels")
    from segeval.deploy.cards import draft_card

    card = out or file.with_suffix(".toml")
    unnamed = numbered_classes(card.stem)
    pictures = Pictures(dataset, data_root, split, ignore)
    data = pictures.opened(None, unnamed)
    labelled = pair(image, mask) if image is not None and mask is not None else []
    labelled += some_of(data) if data is not None else []
    table = None if data is None or data.table is unnamed else data.table
    draft = draft_card(file, card, table, labelled)
    typer.echo(card)
    if not quiet:
        for trial in draft.trials[:3]:
            say(f"mIoU {100 * trial.miou:.1f} % with {trial.said}")
        for key, doubt in draft.unsure.items():
            say(f"unsure: {key}: {doubt}")
        say(f"next: {command('model', 'check', card, *pictures.options())}")


@model.command()
def check(
    card: Annotated[Path, typer.Argument(metavar="CARD", help="A model card.")],
    data_root: DataRoot = None,
    dataset: DatasetName = None,
    split: Split = "",
    ignore: Ignore = [],
    size: Size = None,
    device: Device = "cpu",
) -> None:
    """Test a model card: output, gradient, deployed file and mIoU.

    Code that the card names is run.

    \b
    segeval model check mynet.toml --data-root pictures
    """
    check_device(device)
    from segeval.deploy.cards import check_card
    from segeval.models.cards import open_card, read_card

    read = read_card(card)
    wanted = parse_size(size) or read.size
    pictures = Pictures(dataset, data_root, split, ignore)
    data = pictures.opened(wanted, read.table)
    segmenter = open_card(read, "", device)
    classes = f"{len(read.outputs)} classes of {'its own' if read.table.name == read.name else read.table.name}"
    typer.echo(f"ok: the card describes {read.name}: {classes}, from source.{read.source.kind}")
    for line in segmenter.said:
        say(line)
    if data is not None:
        require_same_classes(read.table, data, card)
    doubts = 0
    for finding in check_card(segmenter, read, data, wanted):
        typer.echo(f"{'warning' if finding.doubt or finding.unknown else 'ok'}: {finding.text}")
        doubts += finding.doubt
    if not doubts:
        for line in told_of_tasks(card, read.table, pictures):
            say(line)
        say(how_to_attack(card, read.table, pictures, wanted))


@dataclass(frozen=True)
class Pictures:
    """The images that a card is tried on, as they were typed.

    Attributes:
        dataset: its name, None for `DEFAULT`.
        root: its folder.
        split: empty for the dataset's default.
        ignore: values of its masks that never count; empty for its own.
    """

    dataset: str | None
    root: Path | None
    split: str
    ignore: Sequence[int]

    @property
    def given(self) -> bool:
        """Whether there are any."""
        return self.dataset is not None or self.root is not None

    def options(self) -> list[object]:
        """The options that say the same."""
        named = [("--dataset", self.dataset), ("--data-root", self.root), ("--split", self.split)]
        pairs = [pair for pair in named if pair[1]] + [("--ignore", value) for value in self.ignore]
        return [word for pair in pairs for word in pair]

    def opened(self, size: tuple[int, int] | None, table: "ClassTable | None" = None) -> "Dataset | None":
        """The images, with what is odd about them said; None if there are none.

        Args:
            size: (height, width) of its images, None to leave them.
            table: the classes of a folder without labels that does not say them.
        """
        from segeval.datasets import open_dataset

        if not self.given:
            return None
        root, name = dataset_root(self.root), self.dataset or DEFAULT
        data = open_dataset(name, root, self.split, size=size, table=table, ignore=self.ignore)
        for note in data.notes:
            say(note)
        return data


def how_to_attack(card: Path, table: "ClassTable", pictures: Pictures, size: tuple[int, int] | None) -> str:
    """The command that attacks a network of these classes; without images, what leads to one."""
    from segeval.classes import tasks_of

    if not pictures.given:
        return "with --data-root, your images are tried as well, and the next command is told"
    where = replace(pictures, dataset=pictures.dataset or DEFAULT).options()
    aim = [] if USUAL_TASK in tasks_of(table) else ["--task", "untargeted"]
    sized = ["--size", "{}x{}".format(*size)] if size else []
    words = [*where, "--model", card, *aim, *sized, "--attack", "quick"]
    return f"next: {command('craft', '--out', 'runs/set', *words)}"


def told_of_tasks(card: Path, table: "ClassTable", pictures: Pictures) -> Iterator[str]:
    """How to name a task, where the classes do not allow the usual one."""
    from segeval.classes import task_example, tasks_of

    if pictures.given and USUAL_TASK not in tasks_of(table):
        own, more = shlex.join(["--task", task_example(table)]), command("ls", "tasks", "--model", card)
        yield f"{USUAL_TASK} needs other classes; a task of yours is {own}, more: {more}"


def numbered_classes(name: str) -> "ClassTable":
    """For a folder that names no classes: what stands for those of the network until its outputs are counted."""
    from segeval.classes import ClassTable

    return ClassTable(name, ("class-0",), ((0, 0, 0),), ("class-0",))


def require_same_classes(table: "ClassTable", data: "Dataset", card: Path) -> None:
    """Raise ConfigurationError unless the dataset has the classes of a card, in their order."""
    from segeval.classes import class_difference
    from segeval.models.cards.card import CARD_OF_CLASSES

    difference = class_difference(table, data.table)
    if difference:
        raise ConfigurationError(f"{card} and the dataset have different classes: {difference}", CARD_OF_CLASSES)


def pair(image: Path, mask: Path) -> "list[Labelled]":
    """An image with its labels. Raises DataError, ConfigurationError if they differ in size."""
    from segeval.deploy.cards.trials import Labelled
    from segeval.files.images import read_png

    pixels, labels = read_png(image, "RGB"), read_png(mask, "L")
    if pixels.shape[:2] != labels.shape:
        sizes = f"{image} is {pixels.shape[0]}x{pixels.shape[1]}, {mask} {labels.shape[0]}x{labels.shape[1]}"
        raise ConfigurationError(f"{sizes} (height x width)", "give the labels of this image")
    return [Labelled(pixels, labels)]


def some_of(data: "Dataset") -> "list[Labelled]":
    """The first images of a dataset that have labels."""
    from segeval.deploy.cards.trials import TRIED, with_labels

    return list(islice(with_labels(data), TRIED))

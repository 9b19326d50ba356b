"""From a model card to its network."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from segeval.errors import ConfigurationError
from segeval.files.sets import CardRecord, FileRecord
from segeval.files.storage import sha256, sha256_file
from segeval.models.cards.card import ModelCard
from segeval.models.cards.card_reading import read_card
from segeval.models.model_names import CARD
from segeval.models.safe import digest_of
from segeval.models.segmenter import Segmenter
from segeval.places import with_home
from segeval.registry import SOURCES


@dataclass(frozen=True)
class Opened:
    """The result of opening a card's source.

    Attributes:
        network: from normalized images (N, 3, H, W) to logits (N, C, H, W) of the images' size.
        files: what it was read from.
        said: what a person should know of how it was read.
    """

    network: nn.Module
    files: tuple[Path, ...]
    said: tuple[str, ...] = ()


def is_card(name: str) -> bool:
    """Whether a network is named by a model card."""
    return name.casefold().endswith(CARD)


def load_card(name: str, label: str = "", device: str = "cpu") -> Segmenter:
    """The network of the card at a path; see `open_card`."""
    segmenter = open_card(read_card(with_home(name)), label, device)
    segmenter.record = replace(segmenter.record, source=name)
    return segmenter


def open_card(card: ModelCard, label: str = "", device: str = "cpu") -> Segmenter:
    """Open the network of a card; runs the card's code, if any.

    Args:
        card: as it was read.
        label: what it is called in the set; empty for the card's name.
        device: of PyTorch.

    Raises:
        ConfigurationError: for the card, or a network that does not answer as it says.
        WeightsError, EngineError: for a file that it names.
    """
    opened: Opened = SOURCES.load(card.source.kind)(card)
    spec = card.spec if not label else replace(card.spec, name=label)
    files = recorded_files(card, opened.files)
    code, *nested = card.source.codes or ("",)
    read = CardRecord(card.sha256, files, code, tuple(nested))
    record = spec.record(identity(files, opened.network), source=str(card.path), card=read)
    return Segmenter(spec, opened.network, record, opened.said).to(device)


def recorded_files(card: ModelCard, paths: Sequence[Path]) -> tuple[FileRecord, ...]:
    """The files of a network with their hashes, by the paths from the card's folder where they lie below it."""
    folder = card.path.parent
    return tuple(
        FileRecord((path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix(), sha256_file(path))
        for path in paths
    )


def identity(files: Sequence[FileRecord], network: nn.Module) -> str:
    """What tells the weights of a network from others: the hash of its one file, of several, or of its parameters."""
    if not files:
        return digest_of(dict(network.state_dict()))
    if len(files) == 1:
        return files[0].sha256
    return sha256("".join(f"{file.sha256}\n" for file in files).encode())


def require_file(card: ModelCard, named: str, key: str) -> Path:
    """A file that a card names. Raises ConfigurationError if it is not there."""
    path = card.beside(named)
    if not path.is_file():
        hint = "files are looked for from the card's folder"
        raise ConfigurationError(f"{card.path}: source.{key}: no file {path}", hint)
    return path

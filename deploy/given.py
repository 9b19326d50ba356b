"""What the user adds to a set that may come from elsewhere: files that it lacks, and code that is allowed to run."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from segeval.errors import ConfigurationError, WeightsError
from segeval.files.sets import CardRecord, ModelRecord
from segeval.files.storage import sha256_file
from segeval.models import Segmenter
from segeval.models.cards import identity, open_card, read_card
from segeval.models.loading import candidates, load, load_spec
from segeval.models.model_names import ModelName
from segeval.places import with_home
from segeval.registry import MODELS

from .moved import elsewhere, is_file_of, looked_in, read_from, with_moved


@dataclass(frozen=True)
class Given:
    """What the user gives in addition to a set: files that it lacks, and code that it may run.

    Attributes:
        weights: files by the name that a network has in the set.
        data_root: of the set's dataset, None for the set's.
        allowed: ``package.module:attribute`` of networks and datasets whose code may be imported; registered ones
            always.
    """

    weights: Mapping[str, Path] = field(default_factory=dict)
    data_root: Path | None = None
    allowed: frozenset[str] = frozenset()


def require_in_set(given: Given, models: Sequence[ModelRecord]) -> None:
    """Raise ConfigurationError if a file is given for a network that the set does not have, WeightsError if another."""
    records = {model.name: model for model in models}
    for name, file in given.weights.items():
        if name not in records:
            raise ConfigurationError(
                f"--model {name}=...: the set has no network of that name", f"its networks: {', '.join(records)}"
            )
        card = records[name].card
        wanted = card.sha256 if card is not None else records[name].weights_sha256
        found = sha256_file(file) if file.is_file() else "of no file"
        if found != wanted:
            kind, was = ("model card", "is") if card is not None else ("weights", "are")
            what = f"--model {name}={file}: another file; the {kind} that {name} was attacked with {was} not in it"
            raise WeightsError(what, f"give the file with sha256 {wanted}; this one's is {found}")


def load_victim(record: ModelRecord, beside: Path, given: Given) -> Segmenter:
    """The network that was attacked, from the weight file with the recorded hash.

    Args:
        record: what the set says about it.
        beside: the set's folder.
        given: files and code that the user named.

    Raises:
        ConfigurationError: for code that is not allowed.
        WeightsError: if no file has that hash.
    """
    if record.card is not None:
        return load_carded(record, record.card, beside, given)
    source = record.source or record.name
    MODELS.require_allowed(source, given.allowed, "the set")
    file = find_recorded(record, source, beside, given)
    segmenter = load(ModelName(source, str(file), record.name))
    segmenter.record = record
    return segmenter


def load_carded(record: ModelRecord, recorded: CardRecord, beside: Path, given: Given) -> Segmenter:
    """The network of the model card with the recorded hash, from files with theirs.

    Args:
        record: what the set says about it.
        recorded: what it says of the card.
        beside: the set's folder.
        given: cards and code that the user named.

    Raises:
        ConfigurationError: for code that is not allowed.
        WeightsError: if the card is nowhere, or a file that it names is another one by now.
    """
    card = with_moved(read_card(find_card(record, recorded, beside, given)), recorded, beside)
    missing = [code for code in card.source.codes if code not in given.allowed]
    if missing:
        named = ", ".join(map(repr, missing))
        what = f"the model card of {record.name} ({card.path}) names {named}, which is code that segeval would run"
        raise ConfigurationError(what, f"if you trust it: {allowing(missing)}")
    for file in recorded.files:
        path = read_from(card, file.path)
        if not path.is_file() or sha256_file(path) != file.sha256:
            state = "is another file now" if path.is_file() else "is not here"
            what = f"{path}, which the network of {record.name} was read from, {state}"
            raise WeightsError(what, f"put the file with sha256 {file.sha256} there")
    segmenter = open_card(card, record.name)
    if identity(recorded.files, segmenter.network) != record.weights_sha256:  # older sets know less of the files
        what = f"{record.name} has other parameters than when it was attacked"
        raise WeightsError(what, "its factory may have changed, or may build it with random numbers")
    spec = segmenter.spec
    segmenter.spec = replace(spec, table=replace(spec.table, name=record.table))  # another name of the card's file
    segmenter.record = record
    return segmenter


def allowing(codes: Sequence[str]) -> str:
    """The options that allow code, as they are typed."""
    return shlex.join([word for code in codes for word in ("--allow", code)])


def find_card(record: ModelRecord, recorded: CardRecord, beside: Path, given: Given) -> Path:
    """The model card with the recorded hash, wherever it is by now. Raises WeightsError if it is nowhere."""
    typed = with_home(record.source)
    named = given.weights.get(record.name)
    usual = (typed, beside.parent / typed, beside.parent / typed.name, beside / typed.name)
    places = [named] if named is not None else list(dict.fromkeys((*usual, *elsewhere(typed, beside))))
    for place in places:
        if is_file_of(place, recorded.sha256):
            return place
    raise WeightsError(
        f"the model card of {record.name} is not here (sha256 {recorded.sha256}); looked for it in{looked_in(places)}",
        f"name it: --model {record.name}=CARD",
    )


def find_recorded(record: ModelRecord, source: str, beside: Path, given: Given) -> Path:
    """The weight file with the recorded hash, wherever it is by now. Raises WeightsError if it is nowhere."""
    named = given.weights.get(record.name)
    places = [named] if named is not None else list(dict.fromkeys(places_of(record, source, beside)))
    for place in places:
        if is_file_of(place, record.weights_sha256):
            return place
    raise WeightsError(
        f"the weights of {record.name} that were attacked are not here (sha256 {record.weights_sha256}); "
        f"looked for them, under any name, in{looked_in(places)}",
        f"name the file: --model {record.name}=FILE",
    )


def places_of(record: ModelRecord, source: str, beside: Path) -> Iterator[Path]:
    """Where the weights of a network may be: their old place, beside the set, and the usual folders."""
    if record.weights:
        typed = with_home(record.weights)
        yield from (typed, beside.parent / typed, *elsewhere(typed, beside))
    elif weights := load_spec(source).weights:
        yield from (*candidates(weights), *elsewhere(Path(weights.file), beside))

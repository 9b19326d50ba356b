"""The user's own files for a bundle, as named on the command line."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from segeval.errors import ConfigurationError, nearest
from segeval.files.encoding import encode
from segeval.files.sets import ModelRecord
from segeval.files.storage import sha256, sha256_file
from segeval.graphs.brought import data_of
from segeval.places import with_home
from segeval.precision import EnginePrecision, spelled
from segeval_runner.described import Input, Output

from .engine_cards import FORMATS, Format, read_card
from .engine_files import engine_name
from .targets import Target

FORMS = {"--engine-file": "mine=net-int8.onnx", "--engine-card": "mine=net-int8.toml"}
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
RESERVED = (*get_args(EnginePrecision), "desktop", "torch")
"""What engines of segeval's and the reference are called."""


@dataclass(frozen=True)
class OwnGiven:
    """One file.

    Attributes:
        model: the network that it computes, by its name in the set.
        name: that the user gave the engine.
        input, output: as its card describes them; None where there is none.
        sha256: of the file.
        data: of the files beside it that hold tensors of it.
    """

    model: str
    name: str
    file: Path
    format: Format
    input: Input | None
    output: Output | None
    sha256: str
    data: tuple[str, ...] = ()

    @property
    def engine(self) -> str:
        """Name of the engine in the bundle."""
        return own_engine_name(self.model, self.name)

    @property
    def option(self) -> str:
        """What tells it from every other: see `DeployOptions.own`."""
        return f"{self.engine}={self.sha256} {sha256(encode((self.input, self.output, self.data)))}"


def own_engine_name(model: str, name: str) -> str:
    """Name of an engine, of its file and of its folder in a replay: ``espnet-camvid.mine``."""
    return f"{engine_name(model, 'fp32').rpartition('.')[0]}.{name}"


def own_files(files: Sequence[str], cards: Sequence[str], models: Sequence[ModelRecord]) -> tuple[OwnGiven, ...]:
    """The files that ``[MODEL.]NAME=PATH`` name, each with the card that ``NAME=PATH`` or a file beside it is.

    Raises ConfigurationError for a form, a name or a file that cannot be, and for a card that fits none of them.
    """
    named: dict[tuple[str, str], Path] = {}
    for text in cards:
        key, card = one(text, "--engine-card", models)
        if named.setdefault(key, card) != card:
            raise ConfigurationError(f"--engine-card {text}: {key[1]} has another card already", "give one of them")
    found: dict[tuple[str, str], OwnGiven] = {}
    for text in files:
        (model, name), file = one(text, "--engine-file", models)
        require_new(text, name, [other for of, other in found if of == model])
        found[model, name] = own_file(model, name, file, named.pop((model, name), None), models)
    for (_, name), card in named.items():
        hint = f"engine files: {', '.join(given.name for given in found.values()) or 'none'}"
        raise ConfigurationError(f"--engine-card {name}={card}: no --engine-file has that name", hint)
    return tuple(map(with_data, found.values()))


def one(text: str, option: str, models: Sequence[ModelRecord]) -> tuple[tuple[str, str], Path]:
    """Network and name, and the path, of one option."""
    key, equals, path = text.partition("=")
    names = [model.name for model in models]
    model, dot, name = key.rpartition(".")
    if not equals or not path or not name:
        raise ConfigurationError(f"{option} {text!r} is not NAME=PATH", f"write it as in {option} {FORMS[option]}")
    if not dot and len(names) > 1:
        what = f"{option} {text}: the set has several networks, and it does not say whose file that is"
        raise ConfigurationError(what, f"put one of them in front: {names[0]}.{text}; networks: {', '.join(names)}")
    if dot and model not in names:
        raise ConfigurationError(f"{option} {text}: the set has no network {model!r}", nearest(model, names))
    file = with_home(path)
    if not file.is_file():
        raise ConfigurationError(
            f"{option} {text}: {file} is {'a folder' if file.is_dir() else 'not there'}", "check the path behind ="
        )
    if not file.stat().st_size:
        raise ConfigurationError(f"{option} {text}: {file} is empty", "give the file as it was written")
    return (model if dot else names[0], name), file


def require_new(text: str, name: str, others: Sequence[str]) -> None:
    """Raise ConfigurationError unless an engine can be called so: in labels, folder names, gates."""
    if not NAME.fullmatch(name):
        hint = "a name begins with a letter and has at most 40 letters, digits, - and _"
        raise ConfigurationError(f"--engine-file {text}: {name!r} is not a valid engine name", hint)
    plain = spelled(name).lower()
    if any(plain == known or plain.startswith(f"{known}-") for known in RESERVED):
        what = f"--engine-file {text}: {name!r} reads like an engine that segeval makes"
        raise ConfigurationError(what, f"choose another name, as in --engine-file my-{name}=...")
    if plain in {spelled(other).lower() for other in others}:
        what = f"--engine-file {text}: another engine of this network has that name, but for -, _ and capital letters"
        raise ConfigurationError(what, "give each file a name of its own")


def own_file(model: str, name: str, file: Path, card: Path | None, models: Sequence[ModelRecord]) -> OwnGiven:
    """A file with its description. Raises ConfigurationError for a suffix or a card that cannot be."""
    format = FORMATS.get(file.suffix.lower())
    if format is None:
        what = f"--engine-file {name}={file}: its name does not end like an ONNX file or a TensorRT engine"
        raise ConfigurationError(what, f"it ends in one of {', '.join(FORMATS)}")
    beside = file.with_suffix(".toml")
    card = card or (beside if beside.is_file() else None)
    outputs = next(record.outputs for record in models if record.name == model)
    image, answer = (None, None) if card is None else read_card(card, outputs)
    return OwnGiven(model, name, file, format, image, answer, sha256_file(file))


def with_data(given: OwnGiven) -> OwnGiven:
    """A file with the hashes of what lies beside it. Raises EngineError for one that cannot be read."""
    if given.format == "tensorrt":
        return given
    return replace(given, data=tuple(map(sha256_file, sorted(data_of(given.file)))))


def require_runs_engines(target: Target, own: Sequence[OwnGiven], dla: int | None) -> None:
    """Raise ConfigurationError for a built engine that nothing on the device could run."""
    built = next((each for each in own if each.format == "tensorrt"), None)
    if built is not None and not target.tensorrt_versions:
        what = f"--engine-file {built.name}={built.file}: TensorRT built it, and target {target.name} has none"
        hint = (
            "choose a target with TensorRT, as in --target jetson; ONNX Runtime runs the other engines on this machine"
        )
        raise ConfigurationError(what, hint)
    if built is not None and dla is not None:
        what = f"--dla with --engine-file {built.name}={built.file}: a built engine runs where it was built for"
        raise ConfigurationError(what, "leave --dla out, or deploy the engine in a bundle of its own")

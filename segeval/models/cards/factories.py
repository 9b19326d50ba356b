"""Networks that a function of Python builds: the user's own, or a library's constructor."""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from segeval.errors import ConfigurationError, SegevalError, WeightsError, nearest
from segeval.models.cards.adapters import Adapted
from segeval.models.cards.card import ModelCard
from segeval.models.cards.opening import Opened, require_file
from segeval.models.loading import read_state, some
from segeval.registry import importable

LONGEST = 200
"""Characters of a signature in a message."""


def open_factory(card: ModelCard) -> Opened:
    """The network that the function of a card builds, with the parameters of its weight file if it names one.

    What it draws at random is the same every time. Raises ConfigurationError, WeightsError.
    """
    place, _, name = card.source.named.rpartition(":")
    file = card.beside(place) if place.endswith(".py") else None
    weights = require_file(card, card.source.weights, "weights") if card.source.weights else None
    function = attribute_of(module_of(card, place, file), name, card)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = called(function, arguments_of(card), card, card.source.named)
    if not isinstance(network, nn.Module):
        what = f"{card.path}: {card.source.named} gives a {type(network).__name__}, not a torch.nn.Module"
        raise ConfigurationError(what, "name a function or class that returns the network")
    if weights is not None:
        load_weights(network, weights, card)
    files = tuple(path for path in (file, weights) if path is not None)
    said: tuple[str, ...] = ()
    if weights is None and any(True for _ in network.parameters()):
        said = (f"{card.name}: its card names no weights; its parameters are those that {card.source.named} gives it",)
    return Opened(Adapted(network.eval(), card), files, said)


def module_of(card: ModelCard, place: str, file: Path | None) -> ModuleType:
    """The module behind ``package.module``, or a file beside the card. Raises ConfigurationError."""
    try:
        if file is not None:
            return module_from(require_file(card, place, "factory"))
        with importable(Path.cwd(), card.path.parent.resolve()):
            return importlib.import_module(place)
    except SegevalError:
        raise
    except ModuleNotFoundError as error:
        wanted = error.name or ""
        if wanted == place.partition(".")[0]:
            hint = (
                f"pip install it, or write ./FILE.py:{card.source.named.rpartition(':')[2]} for a file beside the card"
            )
        else:
            hint = f"pip install {wanted}"
        raise ConfigurationError(f"{card.path}: source.factory: there is no module {wanted!r}", hint) from error
    except Exception as error:  # somebody else's code
        raise ConfigurationError(
            f"{card.path}: {place} cannot be imported: {type(error).__name__}: {error}", "does it run by itself?"
        ) from error


def module_from(file: Path) -> ModuleType:
    """A Python file as a module, with what lies beside it importable."""
    name = f"{file.stem} of {file.parent.resolve()}"  # another card may have a file of the same name
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{file} is no Python file", "write ./FILE.py:function")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look their module up
    with importable(file.parent.resolve()):
        spec.loader.exec_module(module)
    return module


def attribute_of(module: ModuleType, name: str, card: ModelCard) -> Any:
    """A function of a module, or a method of one of its classes. Raises ConfigurationError."""
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            public = [each for each in vars(found) if not each.startswith("_")]
            what = f"{card.path}: source.factory: {module.__name__} has no {name!r}"
            raise ConfigurationError(what, nearest(part, public)[:300])
        found = getattr(found, part)
    return found


def arguments_of(card: ModelCard) -> dict[str, Any]:
    """What a factory is called with: the card's arguments, those that are factories built, and those that are None."""
    built = {key: argument(value, card) for key, value in card.source.arguments.items()}
    return {**built, **dict.fromkeys(card.source.none)}


def argument(value: Any, card: ModelCard) -> Any:
    """An argument; what a table with ``factory`` builds."""
    if not isinstance(value, Mapping) or "factory" not in value:
        return value
    place, _, name = str(value["factory"]).rpartition(":")
    inner = {key: argument(each, card) for key, each in value.items() if key != "factory"}
    return called(attribute_of(module_of(card, place, None), name, card), inner, card, str(value["factory"]))


def called(function: Any, arguments: Mapping[str, Any], card: ModelCard, named: str) -> Any:
    """What a factory gives. Raises ConfigurationError if it fails, as for arguments that it does not take.

    Args:
        function: the factory; what is no function is what it would give.
        arguments: by name.
        card: for messages.
        named: the factory, for messages.
    """
    if not callable(function):
        return function if not arguments else refuse_arguments(card)
    try:
        return function(**arguments)
    except Exception as error:  # somebody else's code
        what = f"{card.path}: {named} fails: {type(error).__name__}: {error}"
        hint = "check [source.arguments] of the card"
        if isinstance(error, TypeError):
            hint += f"; it takes {signature_of(function)}"
        raise ConfigurationError(what, hint) from error


def signature_of(function: Any) -> str:
    """The parameters of a function, cut if they are many."""
    try:
        text = str(inspect.signature(function))
    except (TypeError, ValueError):
        return "what its documentation says"  # a built-in
    return text if len(text) <= LONGEST else text[:LONGEST] + " ..."


def refuse_arguments(card: ModelCard) -> Any:
    """Raise ConfigurationError for arguments to what is no function."""
    raise ConfigurationError(f"{card.path}: {card.source.named} is no function", "leave [source.arguments] out")


def load_weights(network: nn.Module, path: Path, card: ModelCard) -> None:
    """Give a network the parameters of a file. Raises WeightsError unless they are exactly its own."""
    state, own = read_state(path), network.state_dict()
    missing, unexpected = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    if missing or unexpected:
        what = f"{path} does not fit {card.source.named}: {some('missing', missing)}{some('unexpected', unexpected)}"
        raise WeightsError(
            what.rstrip(" ;"), "is it of this network, and are [source.arguments] those of its training?"
        )
    for key, tensor in state.items():
        if tensor.shape != own[key].shape:
            what = (
                f"{path} does not fit {card.source.named}: {key} is {tuple(tensor.shape)}, not {tuple(own[key].shape)}"
            )
            raise WeightsError(what, "are [source.arguments] those of its training?")
    network.load_state_dict(state, strict=False)

"""Networks that a Python function builds: the user's own, or a library's constructor."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from segeval.errors import ConfigurationError, nearest
from segeval.models.cards.adapters import Adapted
from segeval.models.cards.card import ModelCard
from segeval.models.cards.modules import module_of, modules_of, own_file
from segeval.models.cards.opening import Opened, require_file
from segeval.models.loading import read_state
from segeval.models.matching import require_match

LONGEST = 200
"""Characters of a signature in a message."""


def open_factory(card: ModelCard) -> Opened:
    """The network that the function of a card builds, with the parameters of its weight file if it names one.

    What it draws at random is the same every time. Raises ConfigurationError, WeightsError.
    """
    weights = require_file(card, card.source.weights, "weights") if card.source.weights else None
    with modules_of(card) as imported:
        function, files = factory_of(card, card.source.named)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            arguments = arguments_of(card, files)
            network = called(function, arguments, card, card.source.named)
    if not isinstance(network, nn.Module):
        what = f"{card.path}: {card.source.named} gives a {type(network).__name__}, not a torch.nn.Module"
        raise ConfigurationError(what, "name a function or class that returns the network")
    files += imported
    if weights is not None:
        load_weights(network, weights, card)
        files.append(weights)
    said: tuple[str, ...] = ()
    if weights is None and any(True for _ in network.parameters()):
        what = f"{card.name}: its card names no weights; its parameters are those that {card.source.named} gives it"
        said = (f"{what}. Published: {card.published}" if card.published else what,)
    return Opened(Adapted(network.eval(), card), tuple(dict.fromkeys(files)), said)


def factory_of(card: ModelCard, named: str) -> tuple[Any, list[Path]]:
    """What ``package.module:function`` or ``./file.py:function`` names, and the user's file that it stands in, if any.

    Raises ConfigurationError.
    """
    place, _, name = named.rpartition(":")
    module = module_of(card, place, name)
    file = card.beside(place) if place.endswith(".py") else own_file(module, card)
    return attribute_of(module, name, card), [file] if file is not None else []


def arguments_of(card: ModelCard, files: list[Path]) -> dict[str, Any]:
    """What a factory is called with: the card's arguments, those that are factories built, and those that are None.

    Args:
        card: of the network.
        files: gets the user's files that build arguments.
    """
    built = {key: argument(value, card, files) for key, value in card.source.arguments.items()}
    return {**built, **dict.fromkeys(card.source.none)}


def argument(value: Any, card: ModelCard, files: list[Path]) -> Any:
    """An argument; what a table with ``factory`` builds."""
    if not isinstance(value, Mapping) or "factory" not in value:
        return value
    named = str(value["factory"])
    inner = {key: argument(each, card, files) for key, each in value.items() if key != "factory"}
    function, found = factory_of(card, named)
    files += found
    return called(function, inner, card, named)


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


def called(function: Any, arguments: Mapping[str, Any], card: ModelCard, named: str) -> Any:
    """What a factory gives. Raises ConfigurationError if it fails, as for arguments that it does not take.

    Args:
        function: the factory; what is no function is what it would give.
        arguments: by name.
        card: for messages.
        named: the factory, for messages.
    """
    if not callable(function) or isinstance(function, nn.Module):
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
    raise ConfigurationError(f"{card.path}: {card.source.named} is not a function", "leave [source.arguments] out")


def load_weights(network: nn.Module, path: Path, card: ModelCard) -> None:
    """Give a network the parameters of a file. Raises WeightsError unless they are exactly its own."""
    state = read_state(path)
    hint = "check that it belongs to this network, and that [source.arguments] are those of its training"
    require_match(card.source.named, network, state, str(path), hint)
    network.load_state_dict(state, strict=False)

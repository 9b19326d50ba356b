"""Commands that are imported when they are run: the help of all of them needs their names and summaries alone."""

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from segeval.commands.defaults import name_variables
from segeval.places import with_home

SUMMARIES = {
    "demo": "Run the whole chain on synthetic scenes with bundled networks.",
    "craft": "Craft adversarial images and save them as 8-bit PNG.",
    "fit": "Fit one perturbation, or one patch, for many images.",
    "audit": "Check a network, or its int8 file, for gradient masking.",
    "deploy": "Make a self-contained bundle for a device.",
    "replay": "Run a bundle here or on devices, with the runner inside it.",
    "bench": "Measure latency, throughput, power and energy on this machine.",
    "evaluate": "Measure how much of each attack survived, and write the report.",
    "compare": "Show what changed between two reports.",
    "report": "Put many reports side by side on one page.",
    "train": "Train a network.",
    "score": "Measure a network's mIoU on clean images.",
    "reproduce": "Reproduce a paper on your data and compare the results.",
    "fetch": "Download and verify datasets and published weights.",
    "ls": "List the models, datasets, attacks, suites, tasks and targets.",
    "doctor": "Show what works on this machine and how to add the rest.",
    "model": "Write and check a model card, which describes your network.",
}
"""Every command, in the order of the help, with how its own help begins."""


class OnDemand(Mapping[str, Any]):
    """The commands by name: the function, or Typer, NAME of segeval/commands/NAME.py, imported at the first look."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in SUMMARIES:
            raise KeyError(name)
        if name not in self._loaded:
            self._loaded[name] = command_called(name)
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in SUMMARIES

    def __iter__(self) -> Iterator[str]:
        return iter(SUMMARIES)

    def __len__(self) -> int:
        return len(SUMMARIES)


def command_called(name: str) -> Any:
    """The command, whose options SEGEVAL_COMMAND_OPTION sets too."""
    found = getattr(import_module(f"segeval.commands.{name}"), name)
    group = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, callback=lambda: None)
    if isinstance(found, typer.Typer):
        for each in found.registered_commands:
            each.callback = with_homes(each.callback) if each.callback is not None else None
        group.add_typer(found, name=name)
    else:
        group.command(name)(with_homes(found))
    commands = typer.main.get_group(group).commands
    name_variables(commands)
    return commands[name]


def with_homes(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command's function that gets its paths with ``~`` expanded, which no shell does in ``--out=~/set``."""

    @wraps(function)
    def called(**given: Any) -> Any:
        return function(**{name: home_expanded(value) for name, value in given.items()})

    return called


def home_expanded(value: Any) -> Any:
    """A path, or a list of them, with ``~`` expanded; any other value as it is."""
    if isinstance(value, list | tuple):
        return type(value)(map(home_expanded, value))
    return with_home(value) if isinstance(value, Path) else value


class OnDemandGroup(TyperGroup):
    """The command line: its commands are those of `OnDemand`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands: Any = OnDemand()

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names."""
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Their names and summaries."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))

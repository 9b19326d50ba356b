"""Defaults of options: SEGEVAL_COMMAND_OPTION variables, and a TOML file with one table per command.

Precedence: option on the command line, variable, file, built-in default. Commands and options are Typer's.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segeval.errors import ConfigurationError, nearest


def options(command: Any) -> dict[str, Any]:
    """The options of a command by their spelling without dashes in front, as in ``data-root``."""
    return {
        spelling.lstrip("-"): parameter
        for parameter in command.params
        for spelling in parameter.opts
        if spelling.startswith("--")
    }


def name_variables(commands: Mapping[str, Any]) -> None:
    """Let ``SEGEVAL_CRAFT_DATA_ROOT`` set ``segeval craft --data-root``, and so on for every option."""
    for name, command in commands.items():
        below = {f"{name}_{each}": inner for each, inner in getattr(command, "commands", {}).items()}
        name_variables(below)
        for spelling, option in options(command).items():
            option.envvar = f"SEGEVAL_{name}_{spelling}".upper().replace("-", "_")


def read_defaults(path: Path, commands: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Values by command and parameter from a TOML file.

    Raises ConfigurationError if it cannot be read, or names a command or an option that does not exist.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}", "check --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from error
    return {name: defaults_of(name, table, commands, path) for name, table in document.items()}


def defaults_of(name: str, table: Any, commands: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The values of one table."""
    if name not in commands:
        raise ConfigurationError(f"{path}: unknown command {name!r}", nearest(name, commands))
    if not isinstance(table, dict):
        raise ConfigurationError(f"{path}: {name} is not a table", f"write [{name}] with its options below it")
    known = options(commands[name])
    values = {}
    for key, value in table.items():
        option = known.get(key.replace("_", "-"))
        if option is None:
            raise ConfigurationError(f"{path}: [{name}] has no option {key!r}", nearest(key, known))
        values[option.name] = as_typed(option, value, f"{path}: [{name}] {key}")
    return values


def as_typed(option: Any, value: Any, where: str) -> Any:
    """A TOML value as it would be typed on the command line, so that it is checked and converted in the same place."""
    if option.is_flag:
        if not isinstance(value, bool):
            raise ConfigurationError(f"{where} is {value!r}", "write true or false")
        return value
    several = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str | int | float) and not isinstance(each, bool) for each in several):
        raise ConfigurationError(f"{where} is {value!r}", "write a string, a number, or a list of them")
    if option.multiple or option.nargs > 1:
        return [str(each) for each in several]
    if isinstance(value, list):
        raise ConfigurationError(f"{where} is {value!r}", "this option takes one value, not a list")
    return str(value)

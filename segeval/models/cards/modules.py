"""Python modules that cards name. Those beside the card come before others of the same name."""

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from segeval.errors import ConfigurationError, SegevalError
from segeval.models.cards.card import ModelCard
from segeval.models.cards.opening import require_file
from segeval.registry import importable

INSTALLED = ("site-packages", "dist-packages")
"""Folders of libraries, which may lie below the user's, as in a virtual environment."""
OURS = ("segeval", "segeval_runner")
"""Of a checkout that is the current folder: no code of the user's."""
BROUGHT: dict[str, Path] = {}
"""Modules that cards brought along, by name, and the folders of the cards: another card may bring others so called."""


@contextmanager
def modules_of(card: ModelCard) -> Iterator[list[Path]]:
    """Let Python import from the folders of a card and its code, and the current one.

    What cards brought before is imported anew: other folders may have other modules of those names.

    Yields:
        A list that has the user's files that were imported, when the block has ended.
    """
    folder = card.path.parent.resolve()
    place = card.source.named.rpartition(":")[0]
    beside = card.beside(place).resolve().parent if place.endswith(".py") else folder
    before_this = {name: module for name in list(BROUGHT) if (module := sys.modules.pop(name, None))}
    same = {name: module for name, module in before_this.items() if BROUGHT[name] == folder}
    BROUGHT.clear()
    before, files = set(sys.modules), list[Path]()
    try:
        with importable(*dict.fromkeys((beside, folder, Path.cwd()))):
            yield files
    finally:
        found = {name: own_file(sys.modules[name], card) for name in sys.modules.keys() - before}
        new = {name: file for name, file in found.items() if file is not None and not name.startswith(OURS)}
        files += sorted(set(new.values()))
        for name, module in same.items():
            sys.modules.setdefault(name, module)  # an earlier network of this folder may ask for it while it runs
        BROUGHT.update(dict.fromkeys([*same, *(name for name in new if " " not in name)], folder))


def module_of(card: ModelCard, place: str, name: str) -> ModuleType:
    """The module behind ``package.module``, or a file beside the card. Raises ConfigurationError.

    Args:
        card: that names it.
        place: as the card names it.
        name: of what is wanted of it, for messages.
    """
    try:
        if place.endswith(".py"):
            return module_from(require_file(card, place, "factory"))
        beside = card.path.parent.resolve() / place.replace(".", "/")
        if place.isidentifier() and beside.with_suffix(".py").is_file():
            return module_from(beside.with_suffix(".py"))
        module = importlib.import_module(place)
    except SegevalError:
        raise
    except ModuleNotFoundError as error:
        wanted = error.name or ""
        if wanted == place.partition(".")[0]:
            hint = f"pip install it, or write ./FILE.py:{name} for a file beside the card"
        else:
            hint = f"pip install {wanted}"
        raise ConfigurationError(f"{card.path}: source.factory: no module {wanted!r}", hint) from error
    except Exception as error:  # somebody else's code
        raise ConfigurationError(
            f"{card.path}: {place} cannot be imported: {type(error).__name__}: {error}",
            "check that it imports without segeval",
        ) from error
    require_beside(module, beside, card)
    return module


def module_from(file: Path) -> ModuleType:
    """A Python file as a module, with what lies beside it importable."""
    name = f"{file.stem} of {file.parent.resolve()}"  # another card may have a file of the same name
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{file} is not a Python file", "write ./FILE.py:function")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look their module up
    with importable(file.parent.resolve()):
        spec.loader.exec_module(module)
    return module


def require_beside(module: ModuleType, beside: Path, card: ModelCard) -> None:
    """Raise ConfigurationError if a module is another one than that beside the card.

    Args:
        module: that Python found.
        beside: where it would lie below the card's folder, without an ending.
        card: that names it.
    """
    found = file_of(module)
    for wanted in (beside.with_suffix(".py"), beside / "__init__.py"):
        if wanted.is_file() and (found is None or found.resolve() != wanted.resolve()):
            what = f"{card.path}: {module.__name__} is {found or 'built in'}, not {wanted}"
            raise ConfigurationError(what, "rename the file or folder beside the card")


def file_of(module: ModuleType) -> Path | None:
    """The file that a module was read from."""
    file = getattr(module, "__file__", None)
    return Path(file) if isinstance(file, str) else None


def own_file(module: ModuleType, card: ModelCard) -> Path | None:
    """The file of a module, by its way from the card's folder; None unless it lies below that or the current one."""
    file, folder = file_of(module), card.path.parent.resolve()
    if file is None:
        return None
    for root in (folder, Path.cwd()):
        if file.is_relative_to(root) and not set(INSTALLED) & set(file.relative_to(root).parts):
            return card.path.parent / os.path.relpath(file, folder)
    return None

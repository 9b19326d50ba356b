"""Every error a user can see. Each says what is wrong, where, and what to do.

SegevalError                  exit code
├── ConfigurationError        2   options that contradict each other or the folder they point at
│   └── UnknownNameError      2   a model, dataset, attack … that is not registered
├── DataError                 2   an image, label file or dataset that cannot be used
├── WeightsError              2   a weight file of the wrong format, model or class count
├── FormatError               2   a manifest or record that does not follow its schema
├── IntegrityError            2   a file whose hash is not the one that was recorded
├── MissingPrerequisiteError  2   a package, engine or device that is not here
├── StorageError              2   a full disk, an unwritable folder
├── FetchError                2   a download that failed, or that --offline forbids
├── RemoteError               2   a device that cannot be reached, refuses something, or lacks something
├── EngineError               2   an inference engine that failed or computed something else
└── GateMissedError           1   the run is fine, the number is not
"""

import difflib
from collections.abc import Iterable, Sequence

MOST_NAMED = 30
"""Names that a hint lists."""


class SegevalError(Exception):
    """Base of all expected errors.

    Attributes:
        what: the problem and where it is.
        hint: what the user can do about it; may be empty.
        typed: the same with options of the command line, where this one names arguments in their place.
    """

    exit_code = 2
    typed: "SegevalError | None" = None

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        if hint:  # for a traceback, as in a notebook; the commands print no traceback
            self.add_note(f"what to do: {hint}")

    def __reduce__(self) -> tuple[type["SegevalError"], tuple[str, str]]:
        """With its hint, on the way from one process to another."""
        return type(self), (self.what, self.hint)


class ConfigurationError(SegevalError):
    """Options that contradict each other, or the folder they point at."""


class UnknownNameError(ConfigurationError):
    """A name that no registry knows."""


class DataError(SegevalError):
    """An image, label file or dataset that cannot be used."""


class WeightsError(SegevalError):
    """A weight file of the wrong format, model or class count."""


class FormatError(SegevalError):
    """A manifest or record that does not follow its schema."""


class IntegrityError(SegevalError):
    """A file whose content differs from its record."""


class MissingPrerequisiteError(SegevalError):
    """A package, engine or device that is not on this machine."""


class StorageError(SegevalError):
    """A full disk or an unwritable folder."""


class FetchError(SegevalError):
    """A file that could not be downloaded, or that is not here and must not be."""


class RemoteError(SegevalError):
    """A device that cannot be reached over ssh, refuses something, lacks something, or whose run failed."""


class EngineError(SegevalError):
    """An inference engine that failed, or that computed something else than it should."""


class GateMissedError(SegevalError):
    """A numeric gate that was missed."""

    exit_code = 1


def nearest(name: str, known: Iterable[str], before: str = "") -> str:
    """For a hint: the known names that were probably meant, or all of them, as in ``did you mean tanh?``.

    Of very many the first are named alone. before: stands before each, as ``pgd.`` before a setting.
    """
    names = list(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(before + each for each in near)}?"
    return f"Known: {some([before + each for each in names], MOST_NAMED)}."


def counted(number: int, noun: str) -> str:
    """For a message: ``1 step``, ``2 steps``, ``2 processes``."""
    ending = "es" if noun.endswith("s") else "s"
    return f"{number} {noun}{'' if number == 1 else ending}"


def some(names: Sequence[str], most: int = 5) -> str:
    """For a message: the first of many names, and how many there are besides."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def install(extra: str) -> str:
    """For a hint: how to add an optional part of segeval, which is on no package index."""
    return f"in a checkout of segeval: pip install '.[{extra}]'"

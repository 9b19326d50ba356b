"""How networks are named on the command line: NAME, NAME=WEIGHTS or CARD, optionally with LABEL= in front."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segeval.errors import ConfigurationError
from segeval.registry import MODELS

LABEL = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
"""What a network may be called."""
CARD, FILES = ".toml", (".onnx", ".pt2", ".ts", ".torchscript", ".engine", ".plan")
"""How the names of model cards end, and of files that are whole networks."""


@dataclass(frozen=True)
class ModelName:
    """A network named on the command line.

    Attributes:
        name: what it is loaded by: registered, ``package.module:attribute``, or the path of a model card.
        weights: empty for its own.
        label: in the set.
    """

    name: str
    weights: str
    label: str


def parse_model(text: str) -> ModelName:
    """The parts of NAME, NAME=WEIGHTS or LABEL=NAME[=WEIGHTS].

    Raises ConfigurationError for an odd label, and for nothing after the last =, such as a variable that is not set.
    """
    first, equals, rest = text.partition("=")
    if equals and text.endswith("="):
        raise ConfigurationError(f"--model {text}: nothing after the =", "give NAME, or NAME=WEIGHTS with a file")
    if text.casefold().endswith((CARD, *FILES)) and not is_model(first):  # whose path may hold a = itself
        return ModelName(rest, "", first) if equals and re.fullmatch(LABEL, first) else ModelName(text, "", "")
    second, _, weights = rest.partition("=")
    if is_model(first) or not is_model(second):
        return ModelName(first, rest, "")
    if not re.fullmatch(LABEL, first):
        raise ConfigurationError(
            f"--model {text}: {first!r} is not a valid network name", "use letters, digits and _ . - only"
        )
    return ModelName(second, weights, first)


def is_model(name: str) -> bool:
    """Whether a text names a network: registered, ``package.module:attribute``, a card, or a file that needs one."""
    return name in MODELS.places() or ":" in name or name.casefold().endswith((CARD, *FILES))


def labelled(names: Sequence[ModelName]) -> list[ModelName]:
    """The networks under the names that they have in a set.

    Several weight files of one network are told apart by the names of the files. Raises ConfigurationError if two
    networks would have one name.
    """
    counts = Counter(each.label or each.name for each in names)
    found = [each if counts[each.label or each.name] == 1 else replace(each, label=with_file(each)) for each in names]
    doubled = [name for name, count in Counter(each.label or each.name for each in found).items() if count > 1]
    if doubled:
        file = "" if found[0].name.casefold().endswith(CARD) else "=WEIGHTS"
        raise ConfigurationError(
            f"model {doubled[0]!r} is given more than once",
            f"leave one of them out, or give it a name of its own: --model LABEL={found[0].name}{file}",
        )
    return found


def with_file(name: ModelName) -> str:
    """``espnet-cityscapes-q3`` for espnet-cityscapes=runs/q3.pth."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(name.weights).stem).strip("-")
    return f"{name.label or name.name}-{stem}" if stem else name.label or name.name

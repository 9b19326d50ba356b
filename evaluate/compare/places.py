"""Where the files of a comparison may go."""

from collections.abc import Mapping
from pathlib import Path

from segeval.errors import ConfigurationError

MANIFESTS: Mapping[str, str] = {
    "set.json": "an adversarial set",
    "replay.json": "a replay",  # which holds its bundle's manifest too
    "bundle.json": "a bundle",
}
"""Whose folders take no other files, by their manifest."""


def require_place(out: Path) -> None:
    """Raise ConfigurationError if `out` is the folder of a set, a replay or a bundle."""
    for name, what in MANIFESTS.items():
        if (out / name).exists():
            raise ConfigurationError(f"{out} is {what}: it holds {name}", "choose another folder with --out")

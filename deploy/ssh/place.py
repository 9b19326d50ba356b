"""Paths on a device, and which of its replays belongs to a local folder.

BASE/BUNDLE/bundle/        the bundle, by the first digits of its hash
BASE/BUNDLE/replays/ID/    results, one folder for each --out here
BASE/BUNDLE/replays/ID.tar the same, packed
BASE/run/                  log of the run, one at a time on a device
"""

import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from segeval.errors import ConfigurationError
from segeval.files.encoding import decode, encode_sealed
from segeval.files.folders import require_own
from segeval.files.storage import write_atomic

DIGITS = 16
BUNDLE = "bundle"
# What needs no quotes in any shell; rsync's server may have its path read by one.
PLAIN = re.compile(r"(?:~/)?[A-Za-z0-9_./@%+=:,-]*")


@dataclass(frozen=True)
class Note:
    """remote.json in a folder of results.

    Attributes:
        host: as it was typed.
        bundle_sha256: identity of the bundle.
    """

    host: str
    bundle_sha256: str
    replay: str
    schema: Literal["segeval.remote/1"] = field(default="segeval.remote/1")


@dataclass(frozen=True)
class Place:
    """The paths of a replay on a device."""

    base: str
    bundle_sha256: str
    replay_id: str

    @property
    def root(self) -> str:
        """What concerns this bundle."""
        return f"{self.base}/{self.bundle_sha256[:DIGITS]}"

    @property
    def bundle(self) -> str:
        """The bundle."""
        return f"{self.root}/{BUNDLE}"

    @property
    def runner(self) -> str:
        """Its runner."""
        return f"{self.bundle}/runner.pyz"

    @property
    def replay(self) -> str:
        """The results."""
        return f"{self.root}/replays/{self.replay_id}"

    @property
    def results(self) -> str:
        """The results in one file."""
        return f"{self.replay}.tar"

    @property
    def run(self) -> str:
        """What `runner.pyz start` keeps."""
        return f"{self.base}/run"


def noted(out: Path, host: str, bundle_sha256: str) -> str:
    """The id of the device's replay that belongs to `out`; a new one for a folder that is new.

    Raises ConfigurationError if the folder holds something else, StorageError.
    """
    path = out / "remote.json"
    if path.is_file():
        note = decode(path.read_bytes(), Note, str(path))
        if (note.host, note.bundle_sha256) != (host, bundle_sha256):
            what = f"{out} was begun {'with another bundle' if note.host == host else 'on ' + note.host}"
            raise ConfigurationError(what, "choose another folder with --out")
        if not re.fullmatch(r"[0-9a-f]{16}", note.replay):
            raise ConfigurationError(f"{path} was changed", "choose another folder with --out")
        return note.replay
    require_own(out, "remote")
    note = Note(host, bundle_sha256, secrets.token_hex(8))
    write_atomic(path, encode_sealed(note, indent=2) + b"\n")
    return note.replay


def require_plain(text: str, option: str) -> str:
    """A path on a device. Raises ConfigurationError for one that a shell or an option parser could misread."""
    if not PLAIN.fullmatch(text) or text.startswith("-") or not text:
        raise ConfigurationError(
            f"{option} {text!r} cannot be used", "use letters, digits and ~/ . _ - @ % + = : , in a path on a device"
        )
    return text

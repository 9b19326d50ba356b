"""What was built on this machine: engines, and the times that TensorRT measured to build them.

NAME.engine, NAME.timing     as TensorRT wrote them
NAME.kernels                 what TensorRT for RTX compiled for this GPU, as it wrote it
NAME.refused                 what it said of a file of which it can make no engine here
NAME.engine.json, ….json     sha256 of the file, the key: everything that it depends on, and what was noted of its
                             build; with a digest of all that

A file is used only if its sidecar has exactly the key that is asked for and its bytes have the recorded hash. Anything
else counts as not there and is built again.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional

from segeval_runner.digests import DIGEST, is_intact
from segeval_runner.errors import BackendError, OutputError
from segeval_runner.recording import write_atomic, write_json

SCHEMA = "segeval.engine/2"
LONGEST_SIDECAR = 65536
ELSEWHERE = "choose another folder with --cache"

Key = Dict[str, Any]


class Kept(NamedTuple):
    """A file of the cache. notes: what was to be remembered about how it was made, as JSON."""

    data: bytes
    notes: Dict[str, Any]


class Cache:
    """A folder of built files. Raises BackendError if it cannot be made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BackendError("cannot make {}: {}".format(folder, error.strerror), ELSEWHERE) from error

    def path(self, stem: str, kind: str, key: Key) -> Path:
        """Where a file with this key lies.

        Args:
            stem: readable beginning of the name.
            kind: its end.
            key: what the file was made from.
        """
        text = json.dumps(key, sort_keys=True)
        return self.folder / "{}-{}.{}".format(stem, hashlib.sha256(text.encode("utf-8")).hexdigest()[:12], kind)

    def load(self, path: Path, key: Key) -> Optional[Kept]:
        """The file, if it is the one with this key and whole; else None."""
        sidecar = sidecar_of(path)
        try:
            if sidecar.stat().st_size > LONGEST_SIDECAR:
                return None
            record = json.loads(sidecar.read_text(encoding="utf-8"))
            data = path.read_bytes()
            if not is_intact(record):
                return None
            record.pop(DIGEST, None)
            notes = dict(record.pop("notes"))
        except (OSError, ValueError, RecursionError, AttributeError, KeyError, TypeError):
            return None
        if record != {"schema": SCHEMA, "sha256": hashlib.sha256(data).hexdigest(), "key": key}:
            return None
        return Kept(data, notes)

    def store(self, path: Path, key: Key, data: bytes, notes: Optional[Dict[str, Any]] = None) -> None:
        """Keep a file and its sidecar; killed in between, the file counts as not there. Raises BackendError."""
        digest = hashlib.sha256(data).hexdigest()
        record = {"schema": SCHEMA, "sha256": digest, "key": key, "notes": notes or {}}
        try:
            write_atomic(path, data)
            write_json(sidecar_of(path), record)
        except OutputError as error:
            raise BackendError(error.what, ELSEWHERE) from error


def sidecar_of(path: Path) -> Path:
    """The JSON file beside a file of the cache."""
    return path.with_name(path.name + ".json")

"""Packs a replay into results.tar, which begins with manifest.json and the hash of each file.

The same results give the same bytes, so that an interrupted copy can be resumed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any, BinaryIO, Dict, List

from segeval_runner.digests import sealed
from segeval_runner.errors import OutputError, explaining
from segeval_runner.recording import require_plain

SCHEMA = "segeval.results/1"
MANIFEST = "manifest.json"
BEGINNING = MANIFEST.encode("ascii") + b"\0"
"""How every archive of ours begins."""
ELSEWHERE = "choose another file with --to"
CHUNK = 1 << 20


def pack(replay: Path, target: Path) -> Dict[str, Any]:
    """Write the tar file of a replay folder. Returns its "file", "sha256" and "bytes". Raises OutputError."""
    if not (replay / "replay.json").is_file():
        raise OutputError("{} is not a replay: it has no replay.json".format(replay), "name a folder given with --out")
    require_replaceable(target)
    part = target.with_name(target.name + ".part")
    with explaining(target):
        files = contents(replay, {target.resolve(), part.resolve()})
        try:
            if os.path.lexists(str(part)):
                part.unlink()
            with part.open("xb") as file:  # made anew, as in `write_atomic`
                write(file, replay, files)
            part.replace(target)
        finally:
            if os.path.lexists(str(part)):
                part.unlink()
        return {"file": str(target.resolve()), **fingerprint(target)}


def require_replaceable(target: Path) -> None:
    """Raise OutputError for a file that is there and is none of ours: it begins with the name of the manifest."""
    require_plain(target)
    if target.is_dir():
        raise OutputError("{} is a folder".format(target), ELSEWHERE)
    if not target.exists():
        return
    with explaining(target), target.open("rb") as file:
        start = file.read(len(BEGINNING))
    if start not in (b"", BEGINNING):
        raise OutputError("{} is not a file of packed results".format(target), ELSEWHERE)


def contents(replay: Path, but_not: Any) -> List[Path]:
    """The files of a replay, in order. No links, and nothing that is still being written."""
    found = sorted(path for path in replay.rglob("*") if path.is_file() and not path.is_symlink())
    return [path for path in found if path.suffix != ".part" and path.resolve() not in but_not]


def write(file: BinaryIO, replay: Path, files: List[Path]) -> None:
    """The manifest, then the files. Raises OutputError if one of them grows meanwhile."""
    names = [path.relative_to(replay).as_posix() for path in files]
    recorded = {name: fingerprint(path) for name, path in zip(names, files)}
    manifest = json.dumps(sealed({"schema": SCHEMA, "files": recorded}), indent=1).encode("utf-8")
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(member(MANIFEST, len(manifest)), io.BytesIO(manifest))
        for name, path in zip(names, files):
            with path.open("rb") as source:
                tar.addfile(member(name, recorded[name]["bytes"]), source)
            if fingerprint(path) != recorded[name]:
                raise OutputError("{} is still being written".format(path), "pack it when the replay has ended")


def member(name: str, size: int) -> tarfile.TarInfo:
    """A header that says nothing of when and by whom a file was written."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info


def fingerprint(path: Path) -> Dict[str, Any]:
    """Hash and size of a file."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(CHUNK), b""):
            digest.update(chunk)
            size += len(chunk)
    return {"sha256": digest.hexdigest(), "bytes": size}

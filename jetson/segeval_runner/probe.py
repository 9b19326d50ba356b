"""Examines a device before a bundle is sent to it.

The desktop sends the source of this file over ssh and calls a function of it there, so it imports nothing of segeval.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Tuple

CHUNK = 1 << 20
Files = Dict[str, Any]
"""Of a bundle, by path: {"sha256": …, "bytes": …}."""


def probe(request: Dict[str, Any]) -> Dict[str, Any]:
    """Answer a request {"base": folder, "bundle": path of the bundle below it, "files": Files}, and make the folders.

    The answer has ``base``, absolute; ``refused``, why nothing can be written there, None if it can; ``free``, bytes;
    and ``here``, the hash of each file that is there already with the right size, whatever is in it.
    """
    base = Path.cwd() / Path(request["base"]).expanduser()
    bundle = base / request["bundle"]
    answer: Dict[str, Any] = {"base": str(base), "python": platform.python_version(), "numpy": numpy_version()}
    answer.update({"rsync": bool(shutil.which("rsync")), "refused": refusal(bundle), "free": 0, "here": {}})
    if answer["refused"] is None:
        answer["here"] = dict(hashes(base, bundle, request["files"]))
        answer["free"] = shutil.disk_usage(bundle).free
    return answer


def engine(request: Dict[str, Any]) -> Dict[str, str]:
    """Answer a request {"runner": archive, "sha256": its hash, "backend": name}.

    The answer has the "version" of the backend, or an "error" and a "hint". A runner that was changed is not run.
    """
    if sha256(Path(request["runner"])) != request["sha256"]:
        return {"error": "the runner was changed on the way", "hint": "run the same command again"}
    sys.path.insert(0, request["runner"])
    from segeval_runner.backends import load_backend
    from segeval_runner.errors import RunnerError

    try:
        return {"version": load_backend(request["backend"]).version()}
    except RunnerError as error:
        return {"error": error.what, "hint": error.hint}


def numpy_version() -> Optional[str]:
    """Version of numpy, None if it cannot be imported."""
    try:
        import numpy
    except Exception:  # a broken installation can raise anything
        return None
    return str(getattr(numpy, "__version__", "")) or None


def refusal(folder: Path) -> Optional[str]:
    """Make a folder and write in it; why that is refused, None if it is not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=str(folder)):
            return None
    except OSError as error:
        return error.strerror


def hashes(base: Path, bundle: Path, files: Files) -> Iterator[Tuple[str, str]]:
    """Hash of each file of the bundle that is there; first, what an earlier bundle has is linked to its place."""
    earlier = recorded_elsewhere(base, bundle)
    for name, recorded in files.items():
        path = bundle / name
        key = (recorded["sha256"], recorded["bytes"])
        if not regular(path, recorded["bytes"]) and key in earlier:
            link(earlier[key], path)
        if regular(path, recorded["bytes"]):
            yield name, sha256(path)


def recorded_elsewhere(base: Path, bundle: Path) -> Dict[Tuple[str, int], Path]:
    """The files of the other bundles below `base`, by the hash and size that their manifests say."""
    found = {}
    for folder in sorted(base.iterdir()):
        root = folder / bundle.name
        try:
            files = json.loads((root / "bundle.json").read_text(encoding="utf-8"))["files"]
            for name, recorded in files.items():
                found[recorded["sha256"], recorded["bytes"]] = root / name
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    return found


def link(source: Path, target: Path) -> None:
    """Give a file a second name: unchanged images need neither time nor space again. What fails is sent anew."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if stat.S_ISREG(source.lstat().st_mode):
            if os.path.lexists(target):
                target.unlink()
            os.link(source, target)
    except OSError:
        pass


def regular(path: Path, size: int) -> bool:
    """Whether this is a file of that size, and no link."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == size


def sha256(path: Path) -> str:
    """Hex digest of a file; empty if it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            chunk = file.read(CHUNK)
            while chunk:
                digest.update(chunk)
                chunk = file.read(CHUNK)
    except OSError:
        return ""
    return digest.hexdigest()

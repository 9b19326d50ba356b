"""A bundle on disk: its files, proved by their hashes, and its images."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Any, Callable, List

import numpy as np

from segeval_runner.errors import BundleError
from segeval_runner.manifest import AGAIN, Shard, malformed, parse, take

CHUNK = 1 << 20


class Bundle:
    """A bundle folder. data: bundle.json as it is.   sha256: of that, the bundle's identity."""

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            self.data = (root / "bundle.json").read_bytes()
        except OSError as error:
            hint = "name the folder that holds bundle.json with --bundle"
            raise BundleError("{} is not a bundle: no readable bundle.json".format(root), hint) from error
        self.sha256 = hashlib.sha256(self.data).hexdigest()
        self.manifest = parse(self.data)

    def path(self, name: str) -> Path:
        """A file of the bundle. Raises BundleError if the name leads out of the folder or through a symbolic link."""
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts or "\\" in name or not relative.parts:
            raise BundleError("the path {!r} leads out of the bundle".format(name), "do not use this bundle")
        path = self.root
        for part in relative.parts:
            path = path / part
            if path.is_symlink():
                raise BundleError("{} is a symbolic link; a bundle has none".format(path), "do not use this bundle")
        return path

    def verify(self, progress: Callable[[int, int], None]) -> None:
        """Prove that every file is the recorded one. progress: called with (bytes checked, bytes in all)."""
        files = self.manifest.files
        total = sum(file.size for file in files.values())
        done = 0
        for name in sorted(files):
            path, recorded = self.path(name), files[name]
            if not path.is_file():
                raise BundleError("{} is missing".format(path), AGAIN)
            if path.stat().st_size != recorded.size:
                raise BundleError("{} has {} bytes, not {}".format(path, path.stat().st_size, recorded.size), AGAIN)
            digest = hashlib.sha256()
            with path.open("rb") as file:
                chunk = file.read(CHUNK)
                while chunk:
                    digest.update(chunk)
                    done += len(chunk)
                    progress(done, total)
                    chunk = file.read(CHUNK)
            if digest.hexdigest() != recorded.sha256:
                raise BundleError("{} was changed: its sha256 is not the recorded one".format(path), AGAIN)

    def keys(self) -> List[str]:
        """The key of every input, in order."""
        path = self.path(self.manifest.index)
        try:
            with path.open(encoding="utf-8") as lines:
                keys = [take(json.loads(line), "key", str) for line in lines]
        except (OSError, ValueError) as error:
            raise BundleError("{} cannot be read: {}".format(path, error), AGAIN) from error
        if len(keys) != self.manifest.inputs or len(set(keys)) != len(keys):
            raise malformed("{} does not hold {} different keys".format(path, self.manifest.inputs))
        return keys

    def image(self, index: int) -> np.ndarray[Any, Any]:
        """Input `index`, uint8 (H, W, 3), mapped into memory: only the pages that are read are loaded."""
        shard = next(shard for shard in self.manifest.shards if shard.first <= index < shard.end)
        image: np.ndarray[Any, Any] = self._open(shard)[index - shard.first]
        return image

    def _open(self, shard: Shard) -> np.ndarray[Any, Any]:
        path = self.path(shard.file)
        try:
            images: np.ndarray[Any, Any] = np.load(str(path), mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise BundleError("{} cannot be read: {}".format(path, error), AGAIN) from error
        expected = (shard.end - shard.first, *self.manifest.size, 3)
        if images.dtype != np.uint8 or images.shape != expected:
            raise BundleError("{} holds {} {}, not uint8 {}".format(path, images.dtype, images.shape, expected), AGAIN)
        return images

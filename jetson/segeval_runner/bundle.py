"""Reading a bundle, trusting nothing in it before its hash was checked."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path, PurePosixPath
from typing import Any, Callable, Dict, List, NamedTuple, Tuple, Type, TypeVar

import numpy as np

from segeval_runner.errors import BundleError

SCHEMA = "segeval.bundle/1"
CHUNK = 1 << 20
AGAIN = "copy the bundle again, or make it again with segeval deploy"
FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")

T = TypeVar("T")


class Engine(NamedTuple):
    """One model at one precision. inputs: half-open ranges of the inputs it runs."""

    name: str
    model: str
    precision: str
    file: str
    height: int
    width: int
    batch: int
    classes: int
    inputs: Tuple[Tuple[int, int], ...]

    def indices(self) -> List[int]:
        """The inputs it runs, in order."""
        return [index for first, end in self.inputs for index in range(first, end)]


class Shard(NamedTuple):
    """A .npy file that holds the inputs from `first` on."""

    file: str
    first: int
    count: int


class File(NamedTuple):
    """Recorded hash and size of a file."""

    sha256: str
    bytes: int


def take(record: Any, key: str, kind: Type[T]) -> T:
    """A field of a JSON object. Raises BundleError if it is missing or of another type."""
    value = record.get(key) if isinstance(record, dict) else None
    if not isinstance(value, kind) or (kind is int and (isinstance(value, bool) or value < 0)):
        raise BundleError("bundle.json: the field {!r} is missing or malformed".format(key), AGAIN)
    return value


class Bundle:
    """The manifest of a bundle. sha256: of bundle.json, its identity."""

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            data = (root / "bundle.json").read_bytes()
        except OSError as error:
            hint = "name the folder that holds bundle.json with --bundle"
            raise BundleError("{} is not a bundle: no readable bundle.json".format(root), hint) from error
        try:
            manifest = json.loads(data.decode("utf-8"))
        except ValueError as error:
            raise BundleError("{}/bundle.json is not JSON: {}".format(root, error), AGAIN) from error
        schema = take(manifest, "schema", str)
        if schema != SCHEMA:
            raise BundleError("bundle.json has the schema {!r}; this runner reads {!r}".format(schema, SCHEMA), AGAIN)
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.set_sha256 = take(take(manifest, "set", dict), "manifest_sha256", str)
        self.files = {
            name: File(take(file, "sha256", str), take(file, "bytes", int))
            for name, file in take(manifest, "files", dict).items()
        }
        inputs = take(manifest, "inputs", dict)
        self.count = take(inputs, "count", int)
        self.height, self.width = take(inputs, "height", int), take(inputs, "width", int)
        self.index = take(inputs, "index", str)
        self.shards = [
            Shard(take(shard, "file", str), take(shard, "first", int), take(shard, "count", int))
            for shard in take(inputs, "shards", list)
        ]
        self.engines = [self._engine(engine) for engine in take(manifest, "engines", list)]
        self._require_listed()

    def _engine(self, record: Dict[str, Any]) -> Engine:
        ranges = tuple(tuple(pair) for pair in take(record, "inputs", list) if isinstance(pair, list))
        engine = Engine(
            take(record, "name", str),
            take(record, "model", str),
            take(record, "precision", str),
            take(record, "file", str),
            take(record, "height", int),
            take(record, "width", int),
            take(record, "batch", int),
            take(record, "classes", int),
            ranges,  # type: ignore[arg-type]
        )
        whole = all(
            len(pair) == 2 and all(type(end) is int for end in pair) and 0 <= pair[0] <= pair[1] <= self.count
            for pair in ranges
        )
        fits = (engine.height, engine.width) == (self.height, self.width) and engine.batch > 0
        if not whole or not fits or not 0 < engine.classes <= 255 or not FOLDER_NAME.fullmatch(engine.name):
            raise BundleError("bundle.json: the engine {!r} does not fit the inputs".format(engine.name), AGAIN)
        return engine

    def _require_listed(self) -> None:
        """Every file that will be used must be among those that are hashed, and the shards must hold every input."""
        used = [engine.file for engine in self.engines] + [shard.file for shard in self.shards] + [self.index]
        for name in used:
            if name not in self.files:
                raise BundleError("bundle.json: {} is used but its hash is not recorded".format(name), AGAIN)
        first = 0
        for shard in self.shards:
            if shard.first != first:
                raise BundleError("bundle.json: the shard {} does not start at {}".format(shard.file, first), AGAIN)
            first += shard.count
        if first != self.count:
            raise BundleError("bundle.json: the shards hold {} of {} inputs".format(first, self.count), AGAIN)

    def path(self, name: str) -> Path:
        """A file of the bundle. Raises BundleError if the name leads out of the folder or through a symbolic link."""
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts or "\\" in name or not relative.parts:
            raise BundleError("bundle.json: the path {!r} leads out of the bundle".format(name), "do not use this bundle")
        path = self.root
        for part in relative.parts:
            path = path / part
            if path.is_symlink():
                raise BundleError("{} is a symbolic link; a bundle has none".format(path), "do not use this bundle")
        return path

    def verify(self, progress: Callable[[int, int], None]) -> None:
        """Prove that every file is the recorded one. progress: called with (bytes checked, bytes in all)."""
        total = sum(file.bytes for file in self.files.values())
        done = 0
        for name in sorted(self.files):
            recorded, path = self.files[name], self.path(name)
            if not path.is_file():
                raise BundleError("{} is missing".format(path), AGAIN)
            if path.stat().st_size != recorded.bytes:
                raise BundleError("{} has {} bytes, not {}".format(path, path.stat().st_size, recorded.bytes), AGAIN)
            digest = hashlib.sha256()
            with path.open("rb") as file:
                for chunk in iter(lambda: file.read(CHUNK), b""):  # noqa: B023
                    digest.update(chunk)
                    done += len(chunk)
                    progress(done, total)
            if digest.hexdigest() != recorded.sha256:
                raise BundleError("{} was changed: its sha256 is not the recorded one".format(path), AGAIN)

    def keys(self) -> List[str]:
        """The key of every input, in order."""
        path = self.path(self.index)
        try:
            with path.open(encoding="utf-8") as lines:
                keys = [take(json.loads(line), "key", str) for line in lines]
        except (OSError, ValueError) as error:
            raise BundleError("{} cannot be read: {}".format(path, error), AGAIN) from error
        if len(keys) != self.count or len(set(keys)) != self.count:
            raise BundleError("{} does not hold {} different keys".format(path, self.count), AGAIN)
        return keys


class InputImages:
    """The images of a bundle, mapped into memory shard by shard. Item i: uint8 (H, W, 3)."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._at = -1
        self._images = np.empty((0, bundle.height, bundle.width, 3), np.uint8)

    def __getitem__(self, index: int) -> np.ndarray:
        at = next(at for at, s in enumerate(self.bundle.shards) if s.first <= index < s.first + s.count)
        shard = self.bundle.shards[at]
        if at != self._at:
            self._images = self._open(shard)
            self._at = at
        return self._images[index - shard.first]

    def _open(self, shard: Shard) -> np.ndarray:
        path = self.bundle.path(shard.file)
        try:
            images = np.load(str(path), mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise BundleError("{} cannot be read: {}".format(path, error), AGAIN) from error
        expected = (shard.count, self.bundle.height, self.bundle.width, 3)
        if images.dtype != np.uint8 or images.shape != expected:
            raise BundleError("{} holds {} {}, not uint8 {}".format(path, images.dtype, images.shape, expected), AGAIN)
        return images

"""bundle.json as typed records. Nothing in it is believed before it was checked."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Dict, List, Sequence, Tuple, Type, TypeVar

from segeval_runner.errors import BundleError

SCHEMA = "segeval.bundle/1"
AGAIN = "copy the bundle again, or make it again with segeval deploy"
FOLDER_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+.-]*")
MOST_CLASSES = 255

T = TypeVar("T")


@dataclass(frozen=True)
class Engine:
    """One model at one precision. inputs: half-open ranges of the inputs it runs."""

    name: str
    model: str
    precision: str
    file: str
    height: int
    width: int
    batch: int
    classes: int
    inputs: Sequence[Tuple[int, int]]

    def indices(self) -> List[int]:
        """The inputs it runs, in order."""
        return [index for first, end in self.inputs for index in range(first, end)]


@dataclass(frozen=True)
class Shard:
    """A .npy file that holds the inputs from `first` up to, but not including, `end`."""

    file: str
    first: int
    end: int


@dataclass(frozen=True)
class File:
    """Recorded hash and size of a file."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """bundle.json. size: (height, width) of every image.   index: file with the key of each input."""

    set_sha256: str
    engines: List[Engine]
    inputs: int
    size: Tuple[int, int]
    index: str
    shards: List[Shard]
    files: Dict[str, File]


def take(record: Any, key: str, kind: Type[T]) -> T:
    """A field of a JSON object. Raises BundleError if it is missing or of another type."""
    value = record.get(key) if isinstance(record, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BundleError("the bundle is malformed: the field {!r} is missing or of another type".format(key), AGAIN)
    return value


def take_count(record: Any, key: str) -> int:
    """A field that holds a whole number, 0 or more."""
    value = take(record, key, int)
    if value < 0:
        raise malformed("the field {!r} is negative".format(key))
    return value


def malformed(what: str) -> BundleError:
    """The error for a manifest that contradicts itself."""
    return BundleError("the bundle is malformed: {}".format(what), AGAIN)


def parse(data: bytes) -> Manifest:
    """Read bundle.json. Raises BundleError naming what is wrong in it."""
    try:
        record = json.loads(data.decode("utf-8"))
    except ValueError as error:
        raise malformed("bundle.json is not JSON: {}".format(error)) from error
    schema = take(record, "schema", str)
    if schema != SCHEMA:
        raise malformed("its schema is {!r}, this runner reads {!r}".format(schema, SCHEMA))
    inputs = take(record, "inputs", dict)
    manifest = Manifest(
        set_sha256=take(take(record, "set", dict), "manifest_sha256", str),
        engines=[engine(item) for item in take(record, "engines", list)],
        inputs=take_count(inputs, "count"),
        size=(take_count(inputs, "height"), take_count(inputs, "width")),
        index=take(inputs, "index", str),
        shards=[shard(item) for item in take(inputs, "shards", list)],
        files={
            name: File(take(item, "sha256", str), take_count(item, "bytes"))
            for name, item in take(record, "files", dict).items()
        },
    )
    require_consistent(manifest)
    return manifest


def shard(record: Any) -> Shard:
    """One entry of the list of shards."""
    first = take_count(record, "first")
    return Shard(take(record, "file", str), first, first + take_count(record, "count"))


def engine(record: Any) -> Engine:
    """One entry of the list of engines."""
    name = take(record, "name", str)
    ranges = []
    for pair in take(record, "inputs", list):
        if not (isinstance(pair, list) and len(pair) == 2 and all(type(end) is int for end in pair)):
            raise malformed("the inputs of engine {!r} are not ranges".format(name))
        ranges.append((pair[0], pair[1]))
    return Engine(
        name=name,
        model=take(record, "model", str),
        precision=take(record, "precision", str),
        file=take(record, "file", str),
        height=take_count(record, "height"),
        width=take_count(record, "width"),
        batch=take_count(record, "batch"),
        classes=take_count(record, "classes"),
        inputs=ranges,
    )


def require_consistent(manifest: Manifest) -> None:
    """Raise BundleError unless each used file is hashed, the shards hold all inputs and the engines fit them."""
    used = [item.file for item in manifest.engines] + [item.file for item in manifest.shards] + [manifest.index]
    for name in used:
        if name not in manifest.files:
            raise malformed("{} is used, but its hash is not recorded".format(name))
    end = 0
    for part in manifest.shards:
        if part.first != end:
            raise malformed("the shard {} does not start at {}".format(part.file, end))
        end = part.end
    if end != manifest.inputs:
        raise malformed("the shards hold {} of {} inputs".format(end, manifest.inputs))
    for item in manifest.engines:
        end = 0
        for first, last in item.inputs:
            if not end <= first <= last <= manifest.inputs:
                raise malformed("the inputs of engine {!r} are not ascending ranges of the inputs".format(item.name))
            end = last
        fits = (item.height, item.width) == manifest.size and item.batch > 0 and 0 < item.classes <= MOST_CLASSES
        if not fits or not FOLDER_NAME.fullmatch(item.name):
            raise malformed("engine {!r} does not fit the inputs".format(item.name))
    if len({item.name for item in manifest.engines}) != len(manifest.engines):
        raise malformed("two engines have the same name")

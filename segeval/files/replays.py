"""The results from a device: label maps and latencies of every input on every engine.

    replay.json            which bundle, which machine, how far each engine is
    bundle.json            a copy of the bundle's manifest
    ENGINE/results.jsonl   one line per input, with a digest of its own
    ENGINE/labels.bin      label maps, uint8 (H, W), one zlib stream after another

Written by ``segeval_runner``, possibly on another machine, so everything in it is checked before use.
"""

import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta

from segeval.errors import ConfigurationError, DataError, FormatError, IntegrityError
from segeval.files.earlier import current_key
from segeval.files.encoding import decode
from segeval.files.storage import MOST_BYTES, inside, read_file, read_lines
from segeval.files.telemetry import Telemetry
from segeval.metrics import Labels
from segeval.precision import EnginePrecision
from segeval_runner.ownership import lacking
from segeval_runner.strict import open_regular

COPY_AGAIN = "copy the replay again, or run it again"

MOST_LINE = 1 << 16
"""Bytes of a line of results.jsonl."""
MOST_PIXELS = 1 << 27
"""Of one label map."""

Count = Annotated[int, Meta(ge=0, le=1 << 50)]
Size = Annotated[int, Meta(ge=1, le=1 << 16)]
Milliseconds = Annotated[float, Meta(ge=0, le=1e12)]
Classes = Annotated[int, Meta(ge=1, le=255)]


@dataclass(frozen=True)
class Environment:
    """The machine of a replay.

    Attributes:
        threads: CPU threads the engines were given.
        backends: version by name.
        device: of a Jetson its "model", "jetson_linux" and "jetpack"; other boards may have a "model" too.
    """

    runner: str
    python: str
    numpy: str
    platform: str
    machine: str
    cpu: str
    cores: int
    threads: int
    backends: Mapping[str, str]
    device: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What a reader calls the machine: the board with its JetPack, or the processor."""
        if "model" not in self.device:
            return self.cpu
        jetpack = self.device.get("jetpack")
        return self.device["model"] + (f", JetPack {jetpack}" if jetpack else "")


@dataclass(frozen=True)
class ReplayedEngine:
    """One model at one precision on one engine.

    Attributes:
        folder: where its results lie.
        inputs: how many it was to run, of a shard those of the shard.
        complete: whether it ran them all.
        warmup: unmeasured runs before the first.
        load_ms: time to load the model.
        facts: what the engine says about how it runs the model.
        telemetry: of the machine while the images ran.
        outside_cpu_ms: CPU time per image outside the engine's calls, of the images of the latest run: reading,
            checking, compressing and writing.
    """

    name: str
    model: str
    precision: EnginePrecision
    backend: str
    backend_version: str
    height: Size
    width: Size
    batch: Size
    classes: Classes
    folder: str
    inputs: Count
    complete: bool
    warmup: Count
    load_ms: Milliseconds
    facts: Mapping[str, Any] = field(default_factory=dict)
    telemetry: Telemetry | None = None
    outside_cpu_ms: Milliseconds | None = None

    @property
    def power_modes(self) -> tuple[str, ...]:
        """Of the board while the images ran, in the order in which they were seen; else that of the engine's record."""
        seen = self.telemetry.power_modes if self.telemetry else ()
        known = self.facts.get("power_mode")
        return seen or ((str(known),) if known else ())


@dataclass(frozen=True)
class ReplayRecord:
    """replay.json.

    Attributes:
        bundle_sha256: of the bundle's bundle.json.
        set_sha256: of the set's set.json.
        shard: which part of the inputs was run, as in "1/4"; empty for all.
    """

    bundle_sha256: str
    set_sha256: str
    environment: Environment
    engines: tuple[ReplayedEngine, ...]
    shard: str = ""
    schema: Literal["segeval.replay/1"] = field(default="segeval.replay/1")


@dataclass(frozen=True, slots=True)
class Result:
    """A line of results.jsonl.

    Attributes:
        offset, bytes, crc32: of the compressed label map in labels.bin.
        latency_ms: of the engine call that computed it.
        stages: of these, milliseconds on the device by "host_to_device", "compute" and "device_to_host", if it tells
            them.
    """

    key: str
    offset: Count
    bytes: Count
    crc32: Count
    latency_ms: Milliseconds
    stages: Mapping[str, Milliseconds] = field(default_factory=dict)


class EngineResults:
    """The results of one engine; only their index is held in memory."""

    def __init__(self, root: Path, engine: ReplayedEngine) -> None:
        self.engine = engine
        self.labels_path = inside(root, f"{engine.folder}/labels.bin")
        self._index = self._read_index(inside(root, f"{engine.folder}/results.jsonl"))

    def _read_index(self, path: Path) -> dict[str, Result]:
        index: dict[str, Result] = {}
        try:
            for number, line in enumerate(read_lines(path, MOST_LINE), start=1):
                if not line.endswith(b"\n") and not self.engine.complete:
                    break  # a run that was killed may leave its last line half-written
                result = decode(line, Result, f"{path}:{number}")
                key = current_key(result.key)
                if key in index:
                    raise FormatError(f"{path}:{number}: the key {result.key!r} occurs twice", COPY_AGAIN)
                index[key] = result
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}", COPY_AGAIN) from error
        if self.engine.complete and len(index) != self.engine.inputs:
            raise IntegrityError(f"{path} holds {len(index)} of {self.engine.inputs} results", COPY_AGAIN)
        return index

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the inputs that have a result, in the order in which they ran."""
        return tuple(self._index)

    def latencies(self) -> dict[str, float]:
        """Milliseconds of the engine call that computed each input, for its whole batch."""
        return {key: result.latency_ms for key, result in self._index.items()}

    def labels(self, key: str) -> Labels:
        """(H, W) uint8 label map. Raises DataError if there is no such result, IntegrityError if it is damaged."""
        if key not in self._index:
            raise DataError(f"the replay has no result of {self.engine.name} for {key!r}", "finish the replay")
        result, where = self._index[key], f"{self.labels_path}: the label map of {key!r}"
        pixels = self.engine.height * self.engine.width
        if result.bytes > pixels + pixels // 100 + 1024:  # zlib adds less than that to what it cannot compress
            raise FormatError(f"{where} is not {self.engine.height}x{self.engine.width}", COPY_AGAIN)
        try:
            with open_regular(self.labels_path) as file:
                if result.offset + result.bytes > os.fstat(file.fileno()).st_size:
                    raise IntegrityError(f"{where} was changed or cut off", COPY_AGAIN)
                file.seek(result.offset)
                stream = file.read(result.bytes)
        except (OSError, ValueError) as error:
            raise DataError(f"{self.labels_path} cannot be read: {error}", COPY_AGAIN) from error
        if len(stream) != result.bytes or zlib.crc32(stream) != result.crc32:
            raise IntegrityError(f"{where} was changed or cut off", COPY_AGAIN)
        labels = self._unpacked(stream, where)
        if labels.max() >= self.engine.classes:
            raise FormatError(
                f"{where} holds label {labels.max()}; {self.engine.name} has {self.engine.classes} classes"
            )
        return labels

    def _unpacked(self, stream: bytes, where: str) -> Labels:
        size = self.engine.height * self.engine.width
        unpacker = zlib.decompressobj()
        try:
            data = unpacker.decompress(stream, size + 1)  # bounded: the stream may come from anywhere
        except zlib.error as error:
            raise IntegrityError(f"{where} does not decompress: {error}", COPY_AGAIN) from error
        if len(data) != size or not unpacker.eof:
            raise FormatError(f"{where} is not {self.engine.height}x{self.engine.width}", COPY_AGAIN)
        return np.frombuffer(data, np.uint8).reshape(self.engine.height, self.engine.width)


def require_engines_apart(record: ReplayRecord, where: str) -> None:
    """Raise FormatError if two engines have the same name or folder, or label maps larger than can be."""
    for what in ("name", "folder"):
        values = [getattr(engine, what).lower() for engine in record.engines]
        if len(set(values)) != len(values):
            raise FormatError(f"{where}: two engines have the same {what}", COPY_AGAIN)
    for engine in record.engines:
        if engine.height * engine.width > MOST_PIXELS:
            raise FormatError(f"{where}: label maps of {engine.height}x{engine.width} are too large", COPY_AGAIN)


class Replay:
    """A replay folder."""

    def __init__(self, root: Path, record: ReplayRecord) -> None:
        self.root = root
        self.record = record

    @classmethod
    def open(cls, path: Path) -> "Replay":
        """Read a replay folder. Raises DataError if it is none, FormatError if it is malformed."""
        manifest = path / "replay.json"
        try:
            data = read_file(manifest, MOST_BYTES)
        except OSError as error:
            raise DataError(
                f"{path} is not a replay: {lacking(path, 'replay.json')}", "make one with segeval replay"
            ) from error
        record = decode(data, ReplayRecord, str(manifest))
        require_engines_apart(record, str(manifest))
        return cls(path, record)

    @property
    def engines(self) -> tuple[ReplayedEngine, ...]:
        """What was run, in the order in which it was begun."""
        return self.record.engines

    @property
    def complete(self) -> bool:
        """Whether every engine that was begun ran all its inputs."""
        return bool(self.engines) and all(engine.complete for engine in self.engines)

    @cached_property
    def _results(self) -> dict[str, EngineResults]:
        return {engine.name: EngineResults(self.root, engine) for engine in self.engines}

    def results(self, engine: str) -> EngineResults:
        """The results of one engine. Raises ConfigurationError if the replay has none of that name."""
        if engine not in self._results:
            known = ", ".join(known.name for known in self.engines)
            raise ConfigurationError(f"{self.root} has no engine {engine!r}", f"it has: {known}")
        return self._results[engine]

    def labels(self, engine: str, key: str) -> Labels:
        """(H, W) uint8 label map of one input on one engine; see `EngineResults.labels`."""
        return self.results(engine).labels(key)

    def latencies(self, engine: str) -> dict[str, float]:
        """Milliseconds by key; see `EngineResults.latencies`."""
        return self.results(engine).latencies()

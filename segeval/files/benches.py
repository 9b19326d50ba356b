"""What a benchmark measured on the device: bench.json, segeval.bench/1.

Written by ``segeval_runner``, possibly on another machine, so everything in it is checked before use.
"""

import binascii
import zlib
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from segeval.errors import ConfigurationError, DataError, FormatError
from segeval.files.encoding import decode
from segeval.files.replays import Environment
from segeval.files.storage import read_file
from segeval.files.telemetry import NotAvailable, Telemetry
from segeval.precision import EnginePrecision
from segeval_runner.bench.layers import is_argmax
from segeval_runner.ownership import lacking

FILE = "bench.json"
MOST_BYTES = 1 << 28
COPY_AGAIN = "copy bench.json again, or measure again with runner.pyz bench"

Scenario = Literal["latency", "offline", "throughput"]
Positive = Annotated[int, Meta(ge=1, le=1 << 30)]
Count = Annotated[int, Meta(ge=0)]
Milliseconds = Annotated[float, Meta(ge=0, le=1e12)]


@dataclass(frozen=True)
class Rules:
    """What a run must reach; see docs/benchmark.md. Durations in seconds."""

    warmup_calls: Count
    warmup_s: float
    seconds: float
    calls: Count
    images: Count
    idle_s: float
    period_s: float


@dataclass(frozen=True)
class Percentile:
    """A percentile of latencies. upper_ms: with 99 % confidence the true one is not above this."""

    ms: Milliseconds
    upper_ms: Milliseconds


@dataclass(frozen=True)
class PackedLatencies:
    """Every latency of a run. data: base64 of zlib of little-endian uint32, in ticks."""

    count: Positive
    ticks_per_ms: Positive
    data: str


@dataclass(frozen=True)
class Throughput:
    """Images per second.

    In a throughput run, whose calls overlap, both are by the clock.

    Attributes:
        engine: of the engine calls alone.
        with_io: by the clock on the wall, reading included.
    """

    engine: float
    with_io: float


@dataclass(frozen=True)
class WarmUp:
    """The unmeasured calls before a run."""

    calls: Count
    seconds: float


@dataclass(frozen=True)
class SteadinessRecord:
    """Whether latency stayed the same over a run.

    Attributes:
        steady: None where it could not be told.
        drift: from beginning to end, relative.
        noise: what may be chance.
        medians_ms: of equal parts of the run, in order.
    """

    steady: bool | None
    drift: float
    noise: float
    medians_ms: tuple[float, ...]


@dataclass(frozen=True)
class Energy:
    """Energy per image over a window, by `formula`.

    Attributes:
        idle_w, net_j_per_image: None without an idle window.
        note: why they are None.
    """

    formula: str
    window_s: float
    images: Positive
    mean_w: float
    gross_j_per_image: float
    idle_w: float | None
    net_j_per_image: float | None
    note: str


@dataclass(frozen=True)
class Flag:
    """A doubt about a run."""

    kind: str
    detail: str


@dataclass(frozen=True)
class BenchRun:
    """One engine in one scenario.

    Attributes:
        latency: percentiles ("p50", …) by what they are of: "engine", "read", "with_io" (latency runs), the stages that
            the engine tells, and "enqueue", the host's time for queueing a call. Of a throughput run, whose calls
            overlap, "interval" from one answer to the next in place of "engine", and no stages.
        unsupported: why percentiles are missing.
        seconds: from the first call to the end of the last.
        other_cores: that other processes kept busy, None if unknown.
        publishable: by the publishable rules, no doubts.
    """

    engine: str
    scenario: Scenario
    model: str
    precision: EnginePrecision
    backend: str
    backend_version: str
    height: Positive
    width: Positive
    batch: Positive
    load_ms: float
    facts: Mapping[str, Any]
    warmup: WarmUp
    calls: Positive
    images: Positive
    seconds: float
    latency: Mapping[str, Mapping[str, Percentile]]
    unsupported: Mapping[str, str]
    least_counts: Mapping[str, int]
    images_per_second: Throughput
    calls_ms: PackedLatencies
    steadiness: SteadinessRecord
    other_cores: float | None
    telemetry: Telemetry
    energy: Energy | NotAvailable
    flags: tuple[Flag, ...]
    publishable: bool

    def ms(self, percentile: str, part: str = "engine") -> float | None:
        """A percentile of the latencies; None if the calls do not support it, or nothing was measured of this part."""
        found = self.latency.get(part, {}).get(percentile)
        return None if found is None else found.ms

    @property
    def measured_energy(self) -> Energy | None:
        """Power and energy of the run; None if they are not available, `power_name` says why."""
        return self.energy if isinstance(self.energy, Energy) else None

    @property
    def power_name(self) -> str:
        """What the power is of, ``module-rail power (VDD_IN)``, or from "not available" on why there is none."""
        told = self.energy if isinstance(self.energy, str) else self.telemetry.power
        return told if isinstance(told, str) else f"{told.quantity} ({' + '.join(told.rails)})"

    @property
    def device_memory_bytes(self) -> int | None:
        """What the engine needs on the device for a call besides its weights; None if it does not tell."""
        told = self.facts.get("device_memory_bytes")
        return told if type(told) is int else None

    def latencies(self) -> NDArray[np.float64]:
        """Milliseconds of every engine call, or interval, in order. Raises FormatError if they are damaged."""
        packed, where = self.calls_ms, f"the latencies of {self.engine} ({self.scenario})"
        size = packed.count * 4
        unpacker = zlib.decompressobj()
        try:
            data = unpacker.decompress(b64decode(packed.data, validate=True), size + 1)  # bounded
        except (binascii.Error, ValueError, zlib.error) as error:
            raise FormatError(f"{where} cannot be unpacked: {error}", COPY_AGAIN) from error
        if len(data) != size or not unpacker.eof or packed.count != self.calls:
            raise FormatError(f"{where} are not {self.calls} numbers", COPY_AGAIN)
        return np.frombuffer(data, "<u4") / packed.ticks_per_ms


@dataclass(frozen=True)
class Layer:
    """A layer or node of an engine.

    Attributes:
        name, kind: the engine's, kind empty if unknown.
        ms: median of its calls.
    """

    name: str
    kind: str
    ms: Milliseconds

    @property
    def is_argmax(self) -> bool:
        """Whether it is ArgMax by its name or kind."""
        return is_argmax(self.name, self.kind)


@dataclass(frozen=True)
class LayerProfile:
    """The time per layer of an engine, in calls that a profiler slowed. call_ms: median of such a call, as a whole."""

    engine: str
    backend: str
    backend_version: str
    calls: Positive
    call_ms: Milliseconds
    layers: tuple[Layer, ...]

    @property
    def total_ms(self) -> float:
        """Of all layers."""
        return sum(layer.ms for layer in self.layers)

    @property
    def argmax_ms(self) -> float:
        """Of what is ArgMax among them."""
        return sum(layer.ms for layer in self.layers if layer.is_argmax)


@dataclass(frozen=True)
class BenchRecord:
    """bench.json.

    Attributes:
        bundle_sha256: of the bundle's bundle.json.
        set_sha256: of the set's set.json.
        preset: "quick", "publishable", or "custom" for rules of the user's own.
        without_argmax: latency runs of networks alone.
        layers: of the engines that were profiled.
    """

    bundle_sha256: str
    set_sha256: str
    environment: Environment
    preset: str
    rules: Rules
    runs: tuple[BenchRun, ...]
    without_argmax: tuple[BenchRun, ...] = ()
    layers: tuple[LayerProfile, ...] = ()
    schema: Literal["segeval.bench/1"] = field(default="segeval.bench/1")

    def run(self, engine: str, scenario: Scenario) -> BenchRun:
        """The run of an engine in a scenario. Raises ConfigurationError if there is none."""
        for found in self.runs:
            if (found.engine, found.scenario) == (engine, scenario):
                return found
        known = ", ".join(f"{found.engine} ({found.scenario})" for found in self.runs) or "nothing"
        raise ConfigurationError(f"the benchmark has no run of {engine!r} ({scenario})", f"it has: {known}")


def open_bench(path: Path) -> BenchRecord:
    """Read bench.json in the folder `path`. Raises DataError if there is none, FormatError if it is malformed."""
    file = path / FILE
    try:
        data = read_file(file, MOST_BYTES)
    except OSError as error:
        what = f"{path} is not a benchmark: {lacking(path, FILE)}"
        raise DataError(what, "make one with segeval bench, or with runner.pyz bench on a device") from error
    record = decode(data, BenchRecord, str(file))
    for name, runs in (("runs", record.runs), ("runs without ArgMax", record.without_argmax)):
        if len({(run.engine, run.scenario) for run in runs}) != len(runs):
            raise FormatError(f"{file} has two {name} of one engine in one scenario", COPY_AGAIN)
    if len({profile.engine for profile in record.layers}) != len(record.layers):
        raise FormatError(f"{file} has the layers of one engine twice", COPY_AGAIN)
    return record

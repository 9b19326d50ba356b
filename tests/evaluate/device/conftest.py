"""Benchmarks of the small world's bundle: calls and sensors are made up, their record is the runner's own."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from segeval.files.encoding import encode
from segeval.files.replays import Replay
from segeval_runner.bench import record as bench_json
from segeval_runner.bench.measure import Timings
from segeval_runner.bench.rules import PRESETS
from segeval_runner.bench.steady import steadiness
from segeval_runner.recording import write_json
from segeval_runner.telemetry.energy import energy, module_power
from segeval_runner.telemetry.reading import Reading, Row
from segeval_runner.telemetry.summary import power_modes, power_record, spread

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

ABSENT = "not available: no power rails, no tegrastats and no RAPL counter can be read on this machine"
RAIL = ("VDD_IN",)


@dataclass(frozen=True)
class Bench:
    """What to write. watts: at the module's rail under load, None for a machine without sensors.

    backend_version, cpu, device: of the engine and machine, None for those of the replay.
    flags: beside the runner's own.   on_gpu: the engine tells its stages, and was profiled and measured without ArgMax.
    """

    engines: Sequence[str] = ("espnet-camvid.fp32", "espnet-camvid.int8")
    scenarios: Sequence[str] = ("latency", "offline")
    preset: str = "quick"
    calls: int = 200
    watts: float | None = None
    backend_version: str | None = None
    cpu: str | None = None
    device: Mapping[str, str] | None = None
    flags: Sequence[tuple[str, str]] = ()
    on_gpu: bool = False
    changes: Callable[[dict[str, Any]], None] = lambda record: None


def rows(watts: float, seconds: float) -> list[Row]:
    """Readings of a sensor every 0.1 s."""
    reading = Reading({"VDD_IN": 1000 * watts}, {"gpu <i>": 61.5}, {"gpu": 918.0}, 900.0, {}, {}, "MAXN")
    return [(0.1 * number, reading) for number in range(int(10 * seconds) + 1)]


def timings(rng: np.random.Generator, middle: float, calls: int, scenario: str) -> Timings:
    """Calls around `middle` ms, 0.5 ms of reading for each."""
    made = Timings()
    made.engine_ms.extend((middle * rng.lognormal(0, 0.02, calls)).tolist())
    made.read_ms.extend([0.5] * calls)
    if scenario == "latency":
        made.with_io_ms.extend(value + 0.7 for value in made.engine_ms)
    made.ended = made.started + sum(made.engine_ms) / 900
    return made


def profile(name: str, version: str) -> dict[str, Any]:
    """The layers of an engine."""
    layers = [("/conv <i>", "CaskConvolution", 3.0), ("/ArgMax", "", 1.25), ("[TopK]", "TopK", 0.25)]
    told = [{"name": each, "kind": kind, "ms": ms} for each, kind, ms in layers]
    about = {"engine": name, "backend": "onnxruntime", "backend_version": version}
    return {**about, "calls": 20, "call_ms": 9.0, "layers": told}


def run_record(name: str, scenario: str, number: int, bench: Bench, version: str) -> dict[str, Any]:
    """One entry of bench.json."""
    rng = np.random.default_rng(number)
    made = timings(rng, 40.0 + 20 * number, bench.calls, scenario)
    if bench.on_gpu and scenario != "throughput":
        for _ in range(bench.calls):
            made.keep_stages({"compute": 30.0 + number, "enqueue": 2.0 + number})
    timed = bench_json.timing_record(made, scenario, 1)
    flags = [{"kind": kind, "detail": detail} for kind, detail in bench.flags]
    flags += bench_json.run_flags(made, 1, scenario, timed["unsupported"])
    load = [] if bench.watts is None else rows(bench.watts + number, made.seconds)
    idle = [] if bench.watts is None else rows(2.0, 6.0)
    used = energy(module_power(load, RAIL), module_power(idle, RAIL), made.seconds, bench.calls)
    model, precision = name.rsplit(".", 1)
    return {
        "engine": name,
        "scenario": scenario,
        "model": model,
        "precision": precision,
        "backend": "onnxruntime",
        "backend_version": version,
        "height": 48,
        "width": 64,
        "batch": 1,
        "load_ms": 10.0,
        "facts": {"device_memory_bytes": 12_300_000} if bench.on_gpu else {},
        "warmup": {"calls": 10, "seconds": 2.0},
        **timed,
        "steadiness": bench_json.steady_record(steadiness(made.engine_ms)),
        "other_cores": 0.05,
        "telemetry": {
            "source": "hwmon" if load else "not available",
            "power": power_record(load, "module-rail power", RAIL) if load else ABSENT,
            "rails_mw": spread(load, "rails_mw"),
            "temperatures_c": spread(load, "temperatures_c"),
            "clocks_mhz": spread(load, "clocks_mhz"),
            "memory_mb": None,
            "cooling": {},
            "events": {},
            "power_modes": power_modes(load),
            "samples": len(load),
            "seconds": made.seconds,
            "period_s": 0.1,
            "overhead": {"reading": 0.001, "cpu": 0.002},
        },
        "energy": used if load else ABSENT,
        "flags": flags,
        "publishable": bench.preset == "publishable" and not flags,
    }


@pytest.fixture(scope="session")
def write_bench() -> Callable[..., Path]:
    """Write a benchmark of a world's bundle: ``write_bench(folder, world, watts=7.5)``; keywords: fields of `Bench`."""

    def write(folder: Path, world: "World", **fields: Any) -> Path:
        bench = Bench(**fields)
        replay = Replay.open(world.replay_root).record
        where = replace(replay.environment, cpu=bench.cpu or replay.environment.cpu, device=bench.device or {})
        version = bench.backend_version or replay.engines[0].backend_version
        record: dict[str, Any] = {
            "schema": bench_json.SCHEMA,
            "bundle_sha256": replay.bundle_sha256,
            "set_sha256": replay.set_sha256,
            "environment": json.loads(encode(where)),
            "preset": bench.preset,
            "rules": PRESETS["quick"]._asdict(),
            "runs": [
                run_record(name, scenario, number, bench, version)
                for number, name in enumerate(bench.engines)
                for scenario in bench.scenarios
            ],
        }
        if bench.on_gpu:
            record["without_argmax"] = [
                run_record(name, "latency", number + 10, bench, version) for number, name in enumerate(bench.engines)
            ]
            record["layers"] = [profile(name, version) for name in bench.engines]
        bench.changes(record)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / bench_json.FILE, record)
        return folder

    return write


@pytest.fixture(scope="session")
def world(build_at: Callable[..., "World"], tmp_path_factory: pytest.TempPathFactory) -> "World":
    """A world with one attack and one task, for tests that only read it."""
    tasks, attacks = ("vehicle-to-road",), (("fgsm", "full"),)
    return build_at(tmp_path_factory.mktemp("world"), names=("a", "b"), tasks=tasks, attacks=attacks)

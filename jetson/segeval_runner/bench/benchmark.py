"""The benchmark itself: each engine in each scenario, the idle machine first, then warm-up, then the measured run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple, Type

from segeval_runner.backends import Backend, Settings, load_backend
from segeval_runner.bench import record as bench_json
from segeval_runner.bench.conditions import (
    OTHER_CORES,
    CpuTime,
    Flag,
    busy_flags,
    flag,
    other_cores,
    telemetry_flags,
    throttle_flags,
)
from segeval_runner.bench.layers import profiled
from segeval_runner.bench.measure import Loop, Timings
from segeval_runner.bench.rules import SCENARIOS, Rules
from segeval_runner.bench.steady import steadiness
from segeval_runner.bundle import Bundle
from segeval_runner.choice import chosen
from segeval_runner.environment import environment, usable_cores
from segeval_runner.errors import BackendError, BundleError, ConditionError
from segeval_runner.exclusive import only_writer
from segeval_runner.manifest import Engine
from segeval_runner.progress import Progress
from segeval_runner.replay import EngineRun, Options, version_of
from segeval_runner.telemetry import Machine, Monitor
from segeval_runner.telemetry.energy import energy, module_power
from segeval_runner.telemetry.reading import Row

STRICT = "publishable"
"""The preset that refuses to start beside other work, and whose runs without a doubt are publishable."""
THROUGHPUT = "throughput"
"""The scenario for which calls must be queued ahead."""
STEP = 0.25
"""Seconds between two reports of an idle machine's progress."""


class BenchOptions(NamedTuple):
    """What was asked for.

    Attributes:
        backend: empty for the bundle's.
        engines, scenarios: names, empty for all there are.
        preset: name of the rules, or "custom".
        settings: `threads` are 0 for one per core.
        layers: whether to time each layer as well.
        without_argmax: whether to measure the network alone as well.
    """

    bundle: Path
    out: Path
    backend: str
    engines: Sequence[str]
    scenarios: Sequence[str]
    preset: str
    rules: Rules
    settings: Settings
    layers: bool = False
    without_argmax: bool = False


def benchmark(options: BenchOptions, progress: Progress, machine: Machine) -> Dict[str, Any]:
    """Measure, or take up an interrupted benchmark where it stopped. Returns what bench.json holds."""
    bundle = Bundle(options.bundle)
    backend = load_backend(options.backend or bundle.manifest.run.backend)
    engines = chosen(bundle, options.engines, backend, options.settings.prebuilt)
    version = version_of(backend, options.backend)
    scenarios = scenarios_of(backend, options.scenarios)
    require_abilities(backend, options)
    bundle.verify(lambda done, total: progress.update("verify", done, total))
    settings = options.settings._replace(threads=options.settings.threads or usable_cores())
    options = options._replace(settings=settings)
    here = environment({backend.name: version}, settings.threads)
    with only_writer(options.out, "bench"):
        record = bench_json.opened(options.out, bundle, options.preset, options.rules._asdict(), here)
        fill(record, engines, scenarios, bundle, backend, options, progress, machine)
    return record


def fill(
    record: Dict[str, Any],
    engines: Sequence[Engine],
    scenarios: Sequence[str],
    bundle: Bundle,
    backend: Type[Backend],
    options: BenchOptions,
    progress: Progress,
    machine: Machine,
) -> None:
    """Measure what a record lacks, and write it after every run."""
    done = {(run["engine"], run["scenario"]) for run in record["runs"]}
    for engine in engines:
        for scenario in scenarios:
            if (engine.name, scenario) not in done:
                run = Run(engine, scenario, bundle, backend, options, progress, machine)
                record["runs"].append(run.measured())
                bench_json.write(options.out, record)
        cuts = options.without_argmax and engine.own is None  # where to cut a file of the user's is not known
        if cuts and engine.name not in names(record["without_argmax"]):
            alone = options._replace(settings=options.settings._replace(without_argmax=True))
            run = Run(engine, "latency", bundle, backend, alone, progress, machine)
            record["without_argmax"].append(run.measured())
            bench_json.write(options.out, record)
        if options.layers and engine.name not in names(record["layers"]):
            run = Run(engine, "layers", bundle, backend, options, progress, machine)
            record["layers"].append(run.profiled())
            bench_json.write(options.out, record)


def names(entries: Sequence[Dict[str, Any]]) -> List[str]:
    """The engines of entries of bench.json."""
    return [entry["engine"] for entry in entries]


def scenarios_of(backend: Type[Backend], asked_for: Sequence[str]) -> Sequence[str]:
    """The scenarios to run.

    Args:
        backend: the engine's kind.
        asked_for: empty for all that the backend has.

    Raises:
        BackendError: for one it has not.
    """
    if backend.calls_ahead:
        return asked_for or SCENARIOS
    if THROUGHPUT in asked_for:
        what = "{} computes one call at a time: none can be queued ahead of another".format(backend.name)
        raise BackendError(what, "the scenario offline tells how many images a second it computes")
    return asked_for or [name for name in SCENARIOS if name != THROUGHPUT]


def require_abilities(backend: Type[Backend], options: BenchOptions) -> None:
    """Raise BackendError unless the backend can do what was asked for beside the scenarios."""
    if options.layers and not backend.tells_layers:
        raise BackendError("{} does not tell the time per layer".format(backend.name), "leave --layers out")
    if options.without_argmax and not backend.cuts_argmax:
        hint = "leave --without-argmax out" + "; --layers tells the time of ArgMax" * backend.tells_layers
        raise BackendError("{} cannot compute a network without its ArgMax".format(backend.name), hint)


class Run:
    """One engine in one scenario, or in a pass that is no scenario. Settings may ask for the network alone."""

    def __init__(
        self,
        engine: Engine,
        scenario: str,
        bundle: Bundle,
        backend: Type[Backend],
        options: BenchOptions,
        progress: Progress,
        machine: Machine,
    ) -> None:
        self.engine = engine
        self.scenario = scenario
        self.backend = backend
        self.options = options
        self.rules = options.rules
        self.progress = progress
        self.machine = machine
        alone = " without argmax" if options.settings.without_argmax else ""
        self.title = "{} {}{}".format(engine.name, scenario, alone)
        replay = Options(options.bundle, options.out, backend.name, [engine.name], 0, options.settings)
        self.replay = EngineRun(engine, bundle, [], backend, replay, progress)
        if not self.replay.indices:
            raise BundleError("{} has no images to run".format(engine.name), "choose another engine with --engine")

    def measured(self) -> Dict[str, Any]:
        """Load the engine, measure it and describe the run. Raises ConditionError where the rules refuse to start."""
        begun = time.perf_counter()
        with self.backend(self.replay.job(), self.options.settings, self.progress.update) as active:
            load_ms = (time.perf_counter() - begun) * 1e3
            with Monitor(self.machine, self.rules.period_s) as monitor:
                idle, flags = self.idle(monitor)
                loop = self.loop(active)
                warm_calls, warm_seconds = loop.warm_up(self.rules)
                before = CpuTime.now(self.machine.root)
                timings = loop.run(self.scenario, self.rules)
                cores = other_cores(before, CpuTime.now(self.machine.root))
                flags += busy_flags(cores, "during the run")
                telemetry, used = self.telemetry(monitor, timings, idle, flags)
            facts = active.facts()
        if "fallback" in facts:
            flags.append(flag("fallback", "{}: {}".format(facts["file"], facts["fallback"])))
        timed = bench_json.timing_record(timings, self.scenario, self.engine.batch)
        flags += bench_json.run_flags(timings, self.engine.batch, self.scenario, timed["unsupported"])
        return {
            **self.description(),
            "load_ms": round(load_ms, 3),
            "facts": facts,
            "warmup": {"calls": warm_calls, "seconds": round(warm_seconds, 3)},
            **timed,
            "steadiness": bench_json.steady_record(steadiness(timings.engine_ms)),
            "other_cores": None if cores is None else round(cores, 3),
            "telemetry": telemetry,
            "energy": used,
            "flags": flags,
            "publishable": self.options.preset == STRICT and not flags,
        }

    def profiled(self) -> Dict[str, Any]:
        """Load the engine and time its layers."""
        with self.backend(self.replay.job(), self.options.settings, self.progress.update) as active:
            loop = self.loop(active)
            return {**self.identity(), **profiled(active, loop.load, loop.report)}

    def identity(self) -> Dict[str, Any]:
        """The identity of the engine that ran."""
        backend = self.backend
        return {"engine": self.engine.name, "backend": backend.name, "backend_version": backend.version()}

    def description(self) -> Dict[str, Any]:
        """What was run."""
        return {
            **self.identity(),
            "scenario": self.scenario,
            "model": self.engine.model,
            "precision": self.engine.precision,
            "height": self.engine.height,
            "width": self.engine.width,
            "batch": self.engine.batch,
        }

    def idle(self, monitor: Monitor) -> Tuple[List[Row], List[Flag]]:
        """Watch the machine do nothing, with the engine loaded: the baseline of the energy, and what else goes on.

        Raises ConditionError if other work runs or the machine is slowed down already, and the rules are strict.
        """
        started, before = time.monotonic(), CpuTime.now(self.machine.root)
        passed = 0.0
        while passed < self.rules.idle_s:
            self.progress.update(self.title + " idle", round(passed * 10), round(self.rules.idle_s * 10))
            time.sleep(min(STEP, self.rules.idle_s - passed))
            passed = time.monotonic() - started
        cores = other_cores(before, CpuTime.now(self.machine.root))
        flags = busy_flags(cores, "before the run") + throttle_flags(monitor.summary(started))
        if cores is None:
            flags.append(
                flag("load unknown", "this machine cannot tell whether other work ran, or not in so short a time")
            )
        if flags and self.options.preset == STRICT:
            what = "{} cannot be measured for publication: {}".format(self.title, flags[0]["detail"])
            hint = "other work may use {:g} cores and nothing may throttle; --preset quick only notes it"
            raise ConditionError(what, hint.format(OTHER_CORES))
        return monitor.rows(started, time.monotonic()), flags

    def loop(self, active: Backend) -> Loop:
        """The loop over the engine's images, from the first again after the last."""
        batch, indices = self.engine.batch, self.replay.indices
        parts = [indices[first : first + batch] for first in range(0, len(indices), batch)]
        return Loop(
            infer=active.infer,
            stages=lambda: stages_of(active),
            pipeline=active.pipeline,
            load=lambda number: self.replay.filled(parts[number % len(parts)]),
            check=ignored if self.options.settings.without_argmax else self.replay.require_labels,
            batch=batch,
            report=lambda share: self.progress.update(self.title, int(share * 100), 100),
        )

    def telemetry(self, monitor: Monitor, timings: Timings, idle: List[Row], flags: List[Flag]) -> Tuple[Any, Any]:
        """The summary and the energy of the measured window; adds to `flags` what they cast doubt on."""
        rows = monitor.rows(timings.started, timings.ended)
        summary = monitor.summary(timings.started, timings.ended)
        flags += telemetry_flags(rows, summary)
        rails = monitor.rails(rows)[1]
        images = len(timings.engine_ms) * self.engine.batch
        load, before = module_power(rows, rails), module_power(idle, rails)
        return summary, monitor.why_no_power(rows) or energy(load, before, timings.seconds, images)


def ignored(labels: object) -> None:
    """In place of a check: a network without ArgMax gives no labels."""


def stages_of(active: Backend) -> Dict[str, float]:
    """Milliseconds of the latest call on the device, and of the host for queueing it ("enqueue"), as far as told."""
    enqueue = active.enqueue_ms()
    return active.stages() if enqueue is None else {**active.stages(), "enqueue": enqueue}

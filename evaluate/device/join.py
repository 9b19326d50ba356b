"""Which benchmarked engine is which replayed one."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np

from segeval.errors import ConfigurationError, DataError, FormatError
from segeval.files.benches import COPY_AGAIN, BenchRecord, BenchRun, open_bench
from segeval.files.replays import Environment

from ..measure.decisive import told_survival
from ..measure.inputs import Engine, Sources, require_each_once
from ..measure.report_records import SurvivalReport
from ..measure.report_rows import ReportRows
from .device_records import Accuracy, Benchmark, BenchmarkReport, EngineRow

ROUNDED_MS = 2e-4
"""Largest difference between a percentile and the latency that it is: both are rounded."""

Identity = tuple[str, ...]
"""What must agree for labels and latencies to be of one engine: bundle, name, backend, version, machine, CPU, board."""


def identity(bundle: str, name: str, backend: str, version: str, where: Environment) -> Identity:
    """The identity of an engine of a bundle on a machine."""
    return bundle, name, backend, version, where.machine, where.cpu, where.name


def open_benches(sources: Sources, paths: Sequence[Path]) -> list[BenchRecord]:
    """Read benchmarks of the replayed bundles.

    Raises ConfigurationError for a benchmark of another bundle or one that is given twice, DataError for a folder that
    is none or has no run, FormatError for one that is malformed or contradicts itself.
    """
    require_each_once(paths, "benchmark")
    bundles = {replay.record.bundle_sha256 for replay in sources.replays}
    records = []
    for path in paths:
        record = open_bench(path)
        if record.bundle_sha256 not in bundles:
            hint = "replay the bundle that was benchmarked, or benchmark the one that was replayed: segeval bench"
            raise ConfigurationError(f"{path} is a benchmark of another bundle than that of the replays", hint)
        if not record.runs:
            raise DataError(f"{path} has no run", "measure again with segeval bench")
        for run in (*record.runs, *record.without_argmax):
            check_percentiles(run, path)
        records.append(record)
    return records


def check_percentiles(run: BenchRun, path: Path) -> None:
    """Raise FormatError if the latencies of a run are damaged, or a percentile is not theirs."""
    ordered = np.sort(run.latencies())
    for name, found in run.latency.get("interval" if run.scenario == "throughput" else "engine", {}).items():
        percent = int(name[1:]) if name[1:].isdecimal() and name[0] == "p" and len(name) < 4 else 0
        nearest = ordered[max(0, ceil(len(ordered) * min(percent, 100) / 100) - 1)]
        if percent == 0 or abs(found.ms - nearest) > ROUNDED_MS:
            what = f"{path}: {name} of {run.engine} ({run.scenario}) is not that of its latencies"
            raise FormatError(what, COPY_AGAIN)


def benchmark_report(sources: Sources, records: Sequence[BenchRecord], report: SurvivalReport) -> BenchmarkReport:
    """Put what was benchmarked beside what was replayed.

    Args:
        sources: what the report is made from.
        records: of `open_benches`.
        report: the survival report.
    """
    replayed: dict[Identity, list[Engine]] = {}
    for engine in (engine for engine in sources.engines if not engine.corruption):
        replay, ran = sources.replays[engine.replay_index].record, engine.record
        key = identity(replay.bundle_sha256, ran.name, ran.backend, ran.backend_version, replay.environment)
        replayed.setdefault(key, []).append(engine)
    benchmarked: set[Identity] = set()
    benchmarks = []
    for record in records:
        runs: dict[Identity, list[BenchRun]] = {}
        for run in record.runs:
            key = identity(record.bundle_sha256, run.engine, run.backend, run.backend_version, record.environment)
            runs.setdefault(key, []).append(run)
        benchmarked |= runs.keys()
        rows = (row_of_runs(found, record, replayed.get(key, []), key, sources, report) for key, found in runs.items())
        described = (record.bundle_sha256, record.environment, record.preset, record.rules)
        benchmarks.append(Benchmark(*described, tuple(rows)))
    rest = [engine for key, engines in replayed.items() if key not in benchmarked for engine in engines]
    return BenchmarkReport(sources.sha256, tuple(benchmarks), tuple(unmeasured(engine, report) for engine in rest))


def row_of_runs(
    runs: Sequence[BenchRun],
    record: BenchRecord,
    engines: Sequence[Engine],
    key: Identity,
    sources: Sources,
    report: SurvivalReport,
) -> EngineRow:
    """The row of a benchmarked engine.

    Args:
        runs: of this engine.
        record: what has the runs.
        engines: replays of it; the furthest one counts.
        key: which engine it is.
        sources: what the report is made from.
        report: the survival report.
    """
    run = runs[0]
    same = (run.engine, run.backend, run.backend_version)
    alone = (each for each in record.without_argmax if (each.engine, each.backend, each.backend_version) == same)
    profiles = (each for each in record.layers if (each.engine, each.backend, each.backend_version) == same)
    if engines:
        found: Accuracy | str = accuracy(max(engines, key=lambda engine: len(engine.keys)), report)
    else:
        found = not_replayed(key, sources)
    about = (run.engine, run.model, run.precision, run.backend, run.backend_version)
    return EngineRow(*about, found, tuple(runs), next(alone, None), next(profiles, None))


def not_replayed(key: Identity, sources: Sources) -> str:
    """Why an engine has no accuracy: the labels may be there, but of another engine or machine."""
    bundle, name, *_ = key
    for engine in sources.engines:
        replay = sources.replays[engine.replay_index].record
        if (replay.bundle_sha256, engine.record.name) == (bundle, name):
            where = f"{engine.record.backend} {engine.record.backend_version} on {replay.environment.name}"
            return f"not replayed with this engine; there are labels by {where}"
    return "not replayed"


def unmeasured(engine: Engine, report: SurvivalReport) -> EngineRow:
    """The row of an engine that was replayed, but not benchmarked."""
    ran = engine.record
    found = accuracy(engine, report)
    return EngineRow(engine.label, ran.model, ran.precision, ran.backend, ran.backend_version, found, ())


def accuracy(engine: Engine, report: SurvivalReport) -> Accuracy:
    """What the report says about a replayed engine, for the attack that its model's verdict would be about."""
    rows = ReportRows.of(report).about(engine.model)
    clean, strongest = rows.clean_by_engine[engine.model, engine.label], rows.strongest
    attacked = None if strongest is None else rows.row(strongest.key.on(engine.label))
    return Accuracy(
        engine=engine.label,
        images=clean.images,
        miou=clean.miou,
        pixel_accuracy=clean.pixel_accuracy,
        attack=None if strongest is None else strongest.attack,
        success=None if attacked is None else attacked.engine_success,
        survival=None if attacked is None else told_survival(attacked),
    )

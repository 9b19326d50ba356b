"""benchmark.csv: one line per engine and scenario; what is unknown is an empty cell."""

from collections.abc import Iterator

from segeval.files.benches import BenchRun, Energy

from ..measure.estimate_records import Estimate
from ..report.report_csv import CsvLine
from .device_records import Accuracy, Benchmark, BenchmarkReport, EngineRow

PERCENTILES = ("p50", "p90", "p95", "p99")
NOT_BENCHMARKED = "not benchmarked"
NOTHING = Accuracy("", 0, None, None, None, None, None)
"""Of an engine that was not replayed."""


def benchmark_lines(report: BenchmarkReport) -> Iterator[CsvLine]:
    """The benchmarked engines by benchmark, then those that were replayed only."""
    for number, benchmark in enumerate(report.benchmarks, start=1):
        for row in benchmark.engines:
            for run in row.runs:
                yield {"benchmark": number, **engine_cells(row), **run_cells(run, benchmark), **inside_cells(row, run)}
    first = report.benchmarks[0]
    one = first.engines[0]
    empty = dict.fromkeys((*run_cells(one.runs[0], first), *inside_cells(one, one.runs[0])))
    for row in report.unmeasured:
        yield {"benchmark": None, **engine_cells(row), **empty, "scenario": NOT_BENCHMARKED}


def engine_cells(row: EngineRow) -> CsvLine:
    """Which engine, and its accuracy."""
    found = row.accuracy if isinstance(row.accuracy, Accuracy) else NOTHING
    return {
        "engine": row.engine,
        "model": row.model,
        "precision": row.precision,
        "backend": row.backend,
        "backend_version": row.backend_version,
        "accuracy": row.accuracy if isinstance(row.accuracy, str) else "replayed",
        "replayed_as": found.engine or None,
        "clean_images": found.images or None,
        "miou": found.miou,
        "pixel_accuracy": found.pixel_accuracy,
        "attack": found.attack,
        **estimate_cells("success", found.success),
        **estimate_cells("survival", found.survival),
    }


def estimate_cells(name: str, estimate: Estimate | None) -> CsvLine:
    """Mean and interval."""
    known = (None,) * 3 if estimate is None else (estimate.mean, estimate.low, estimate.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), known, strict=True))


def energy_cells(used: Energy | None) -> CsvLine:
    """Power and energy."""
    names = ("mean_w", "idle_w", "gross_j_per_image", "net_j_per_image")
    return {name: None if used is None else getattr(used, name) for name in names}


def run_cells(run: BenchRun, benchmark: Benchmark) -> CsvLine:
    """What was measured in one scenario, and under which conditions."""
    given = run.latency.get("engine", {})
    return {
        "scenario": run.scenario,
        "preset": benchmark.preset,
        "cpu": benchmark.environment.cpu,
        "threads": benchmark.environment.threads,
        "batch": run.batch,
        "calls": run.calls,
        "images": run.images,
        "seconds": run.seconds,
        **{f"{name}_ms": run.ms(name) for name in PERCENTILES},
        **{f"{name}_upper_ms": given[name].upper_ms if name in given else None for name in PERCENTILES},
        **{f"with_io_{name}_ms": run.ms(name, "with_io") for name in PERCENTILES},
        "images_per_second": run.images_per_second.with_io,
        "images_per_second_engine": run.images_per_second.engine,
        "power": run.power_name,
        **energy_cells(run.measured_energy),
        "steady": {True: "yes", False: "no", None: "undecided"}[run.steadiness.steady],
        "drift": run.steadiness.drift,
        "other_cores": run.other_cores,
        "power_modes": "; ".join(run.telemetry.power_modes),
        "flags": "; ".join(f"{flag.kind}: {flag.detail}" for flag in run.flags),
        "publishable": "yes" if run.publishable else "no",
    }


def inside_cells(row: EngineRow, run: BenchRun) -> CsvLine:
    """The parts of a call, as far as they were measured. Layers and the network alone are in the first run's line."""
    alone, profile = (row.without_argmax, row.layers) if run is row.runs[0] else (None, None)
    return {
        "interval_p50_ms": run.ms("p50", "interval"),
        "compute_p50_ms": run.ms("p50", "compute"),
        "enqueue_p50_ms": run.ms("p50", "enqueue"),
        "without_argmax_p50_ms": None if alone is None else alone.ms("p50"),
        "without_argmax_compute_p50_ms": None if alone is None else alone.ms("p50", "compute"),
        "layers_ms": None if profile is None else profile.total_ms,
        "layers_argmax_ms": None if profile is None else profile.argmax_ms,
        "device_memory_bytes": run.device_memory_bytes,
    }

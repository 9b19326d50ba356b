"""How speed, power and energy are written, the same in the page and on a terminal."""

from collections.abc import Iterable, Iterator

from segeval.files.benches import BenchRun, Scenario
from segeval_runner.own import OWN

from .device_records import Benchmark, BenchmarkReport, EngineRow

SCENARIOS: dict[Scenario, str] = {"latency": "single stream", "offline": "serial", "throughput": "a call ahead"}
SLOWEST, LONGEST = 3, 60
"""Layers that are named, and characters of a name."""
NOT_A_DEVICE = (
    "ONNX Runtime on a CPU computes fp16 and int8 files in fp32: their times, power and energy say nothing about a "
    "device that computes in fp16 or int8."
)


def number(value: float | None, digits: int = 2) -> str:
    """A number with so many decimals, one less from 100 on; a dash for None."""
    if value is None:
        return "–"
    return f"{value:.{digits if abs(value) < 100 else max(digits - 1, 0)}f}"


def latency(row: EngineRow, percentile: str, part: str = "engine") -> str:
    """A percentile of the single stream in ms; a dash where there is none."""
    run = row.run("latency")
    return number(None if run is None else run.ms(percentile, part))


def main_run(row: EngineRow) -> BenchRun:
    """The run that throughput, power and energy are quoted from first: with a call ahead, else offline, else any."""
    return row.run("throughput") or row.run("offline") or row.runs[0]


def throughput(run: BenchRun) -> str:
    """Images per second by the clock on the wall, reading included."""
    return number(run.images_per_second.with_io, 1)


def power(run: BenchRun) -> str:
    """``7.51 W``, or in words that there is none."""
    return "not available" if run.measured_energy is None else f"{number(run.measured_energy.mean_w)} W"


def energy(run: BenchRun) -> str:
    """Gross energy per image, ``0.0123 J``, or in words that there is none."""
    return "not available" if run.measured_energy is None else f"{run.measured_energy.gross_j_per_image:.3g} J"


def throughputs(row: EngineRow) -> tuple[str, str]:
    """Images per second of the main run; in small, which run it was, and those of the others."""
    main = main_run(row)
    others = [f"{SCENARIOS[run.scenario]} {throughput(run)}" for run in row.runs if run is not main]
    return throughput(main), "; ".join((SCENARIOS[main.scenario], *others))


def quoted_power(row: EngineRow) -> tuple[str, str]:
    """Power, and in small the energy per image, of the main run, or of the other if only that has them."""
    main = main_run(row)
    run = next((run for run in (main, *row.runs) if run.measured_energy), main)
    said, small = power_and_energy(run)
    return said, f"{small}, {SCENARIOS[run.scenario]}" if small else ""


def is_seen_into(row: EngineRow) -> bool:
    """Whether anything is known of what a call of an engine is made of."""
    told = any("compute" in run.latency for run in row.runs)
    return told or row.without_argmax is not None or row.layers is not None


def within_call(row: EngineRow, part: str) -> str:
    """Median ms of a part of the calls, one after the other, from the first run that has it; a dash if none does."""
    return number(next((run.ms("p50", part) for run in row.runs if part in run.latency), None))


def without_argmax(row: EngineRow) -> tuple[str, str]:
    """Median ms of a call of the network alone; in small, of it on the device, and its doubts."""
    alone = row.without_argmax
    if alone is None:
        return "–", ""
    compute = alone.ms("p50", "compute")
    small = [] if compute is None else [f"{number(compute)} to compute"]
    return number(alone.ms("p50")), "; ".join((*small, f"doubts: {doubts(alone)}"))


def layers(row: EngineRow) -> tuple[str, str]:
    """Sum of the layers and what ArgMax is of it; in small, the slowest layers."""
    profile = row.layers
    if profile is None or not profile.layers:
        return "–", "" if profile is None else "the engine told of none"
    slowest = sorted(profile.layers, key=lambda layer: -layer.ms)[:SLOWEST]
    named = "; ".join(f"{layer.name[:LONGEST]} {number(layer.ms)}" for layer in slowest)
    return f"{number(profile.total_ms)}, of it {number(profile.argmax_ms)} ArgMax", named


def device_memory(row: EngineRow) -> str:
    """Megabytes on the device for a call, without the weights."""
    told = next((run.device_memory_bytes for run in row.runs if run.device_memory_bytes is not None), None)
    return number(None if told is None else told / 1e6, 1)


def power_and_energy(run: BenchRun, net: bool = False) -> tuple[str, str]:
    """Power, and in small the energy per image; in words if there is none.

    Args:
        run: of the benchmark.
        net: also without the idle machine's.
    """
    used = run.measured_energy
    if used is None:
        return "not available", ""
    without = f", {used.net_j_per_image:.3g} J net" if net and used.net_j_per_image is not None else ""
    return power(run), energy(run) + without


def doubts(run: BenchRun) -> str:
    """The kinds of flags of a run."""
    return ", ".join(dict.fromkeys(flag.kind for flag in run.flags)) or "none"


def doubt_count(runs: Iterable[BenchRun]) -> int:
    """How many kinds of flags some runs have."""
    return len({flag.kind for run in runs for flag in run.flags})


def steady(run: BenchRun) -> tuple[str, str]:
    """Whether the latency stayed the same, and by how much it drifted."""
    word = {True: "yes", False: "no", None: "undecided"}[run.steadiness.steady]
    drift = round(100 * run.steadiness.drift, 1) + 0.0  # not −0.0
    return word, f"drift {drift:+.1f} %".replace("-", "−")


def other_work(run: BenchRun) -> str:
    """Cores that other processes kept busy."""
    return "unknown" if run.other_cores is None else f"{number(run.other_cores)} cores"


def state(run: BenchRun) -> str:
    """The hottest sensor, the power mode and the range of every clock, as far as they are known."""
    seen = run.telemetry
    parts = []
    if seen.temperatures_c:
        name, spread = max(seen.temperatures_c.items(), key=lambda item: item[1].most)
        parts.append(f"{name} {spread.most:.1f} °C, {spread.first:.1f} at the beginning")
    parts += [", then ".join(seen.power_modes)] if seen.power_modes else []
    parts += [f"{name} {clock.least:.0f}–{clock.most:.0f} MHz" for name, clock in seen.clocks_mhz.items()]
    return "; ".join(parts) or "not available"


def sources(benchmark: Benchmark) -> str:
    """What power is, or why there is none, and what watching cost."""
    runs = [run for row in benchmark.engines for run in row.runs]
    named = "; ".join(dict.fromkeys(run.power_name for run in runs))
    absent = all(run.measured_energy is None for run in runs)
    most = max(run.telemetry.overhead.cpu for run in runs)
    return f"{'power and energy ' if absent else ''}{named}; reading sensors took up to {100 * most:.1f} % of a core"


def notes(report: BenchmarkReport) -> tuple[str, ...]:
    """What a reader has to know before believing the numbers."""
    runs = [run for benchmark in report.benchmarks for row in benchmark.engines for run in row.runs]
    said = list(power_notes(report))
    if any(run.backend == "onnxruntime" and run.precision not in ("fp32", OWN) for run in runs):
        said.insert(0, NOT_A_DEVICE)
    fit = sum(run.publishable for run in runs)
    if fit < len(runs):
        presets = ", ".join(dict.fromkeys(benchmark.preset for benchmark in report.benchmarks))
        which = f"{fit} of {len(runs)} runs" if fit else "No run"
        verb = "are" if fit > 1 else "is"
        said.append(f"{which} {verb} publishable: that takes the publishable rules (here: {presets}) and no doubt.")
    return tuple(said)


def power_notes(report: BenchmarkReport) -> Iterator[str]:
    """What power is or why there is none; of which benchmark, where they differ."""
    powers: dict[str, dict[str, None]] = {}
    for number, benchmark in enumerate(report.benchmarks, start=1):
        for run in (run for row in benchmark.engines for run in row.runs):
            powers.setdefault(run.power_name, {})[f"benchmark {number}"] = None
    for told, benchmarks in powers.items():
        where = f" Of {', '.join(benchmarks)}." if len(powers) > 1 else ""
        yield (f"Power and energy are {told}." if told.startswith("not available") else f"Power: {told}.") + where

"""``segeval bench``."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from segeval.commands.options import (
    AsJson,
    Backend,
    BundleArgument,
    Engines,
    Option,
    Out,
    Prebuilt,
    Quiet,
    ScenarioName,
    Threads,
    command,
)
from segeval.commands.text_tables import bench_notes, bench_rows, layer_notes, table
from segeval.console import progress, results, say

if TYPE_CHECKING:
    from segeval.files.benches import BenchRecord

HEADINGS = ("engine", "scenario", "p50 ms", "p90 ms", "p99 ms", "images/s", "power", "energy/image", "doubts")


def bench(
    bundle: BundleArgument,
    out: Out,
    backend: Backend = "",
    engine: Engines = [],
    scenario: Annotated[
        list[ScenarioName], Option("--scenario", help="Only this one; repeatable.", show_default="all it has")
    ] = [],
    preset: Annotated[
        Literal["quick", "publishable"], Option("--preset", help="The rules: half a minute an engine, or MLPerf's.")
    ] = "quick",
    seconds: Annotated[float | None, Option("--seconds", min=0, help="Of a run, at least.")] = None,
    calls: Annotated[int | None, Option("--calls", min=1, help="Of a latency run, at least.")] = None,
    images: Annotated[int | None, Option("--images", min=1, help="Of an offline or throughput run, at least.")] = None,
    warmup: Annotated[int | None, Option("--warmup", min=0, help="Calls that are not measured, at least.")] = None,
    warmup_seconds: Annotated[float | None, Option("--warmup-seconds", min=0, help="Not measured, at least.")] = None,
    idle_seconds: Annotated[float | None, Option("--idle-seconds", min=0, help="Without work before a run.")] = None,
    period: Annotated[float | None, Option("--period", min=0, help="Seconds between samples of sensors.")] = None,
    layers: Annotated[bool, Option("--layers", help="Also time each layer, in a pass of its own.")] = False,
    without_argmax: Annotated[
        bool, Option("--without-argmax", help="Also measure the network without its ArgMax (TensorRT).")
    ] = False,
    threads: Threads = 0,
    prebuilt: Prebuilt = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure latency, throughput, power and energy of a bundle's engines here. Continues an interrupted benchmark.

    On a device type what docs/benchmark.md says, and bring the folder back. Options from --seconds to --period replace
    a part of the preset.

    \b
    segeval bench runs/bundle --out runs/bench
    """
    from segeval.deploy import bench as measure

    own = {
        "seconds": seconds,
        "calls": calls,
        "images": images,
        "warmup": warmup,
        "warmup-seconds": warmup_seconds,
        "idle-seconds": idle_seconds,
        "period": period,
    }
    given = {name: value for name, value in own.items() if value is not None}
    scenarios = [name.value for name in scenario]
    with progress(quiet) as tick:
        record = measure(
            bundle, out, tick, backend, engine, scenarios, preset, given, threads, layers, without_argmax, prebuilt
        )
    if as_json:
        typer.echo((out / "bench.json").read_bytes(), nl=False)
    else:
        show(record)
    say(f"next: {command('evaluate', 'SET', 'REPLAY', '--bench', out, '--out', out.with_name(out.name + '-report'))}")


def show(record: "BenchRecord") -> None:
    """Every run on a line, then what is to be known about them."""
    title = f"Measured by the rules {record.preset!r}; a dash where the calls are too few for a percentile"
    results.print(table(HEADINGS, bench_rows(record), title, words=2))
    for note in layer_notes(record):
        results.print(note, markup=False, highlight=False)
    for note in bench_notes(record):
        results.print(note, markup=False, highlight=False)

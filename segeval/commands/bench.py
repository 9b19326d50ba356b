"""``segeval bench``."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from segeval.commands.beside import replay_beside, say_how_to_evaluate
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
from segeval.places import neighbour

if TYPE_CHECKING:
    from segeval.files.benches import BenchRecord

HEADINGS = ("engine", "scenario", "p50 ms", "p90 ms", "p99 ms", "images/s", "power", "energy/image", "doubts")


def bench(
    bundle: BundleArgument,
    out: Out,
    backend: Backend = "",
    engine: Engines = [],
    scenario: Annotated[
        list[ScenarioName], Option("--scenario", help="Scenario to run; repeatable.", show_default="all")
    ] = [],
    preset: Annotated[
        Literal["quick", "publishable"],
        Option("--preset", help="Run rules: half a minute per engine, or those of MLPerf."),
    ] = "quick",
    seconds: Annotated[float | None, Option("--seconds", min=0, help="Minimum run time, s.")] = None,
    calls: Annotated[int | None, Option("--calls", min=1, help="Minimum calls of a latency run.")] = None,
    images: Annotated[
        int | None, Option("--images", min=1, help="Minimum images of an offline or throughput run.")
    ] = None,
    warmup: Annotated[int | None, Option("--warmup", min=0, help="Minimum warm-up calls.")] = None,
    warmup_seconds: Annotated[float | None, Option("--warmup-seconds", min=0, help="Minimum warm-up time, s.")] = None,
    idle_seconds: Annotated[float | None, Option("--idle-seconds", min=0, help="Idle time before a run, s.")] = None,
    period: Annotated[float | None, Option("--period", min=0, help="Sensor sampling period, s.")] = None,
    layers: Annotated[bool, Option("--layers", help="Also time each layer, in a separate pass.")] = False,
    without_argmax: Annotated[
        bool, Option("--without-argmax", help="Also measure the network without its ArgMax (TensorRT).")
    ] = False,
    threads: Threads = 0,
    prebuilt: Prebuilt = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure latency, throughput, power and energy on this machine.

    An interrupted benchmark is resumed.

    To measure on a device, follow docs/benchmark.md and copy the results folder back. The options from --seconds to
    --period override the preset.

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
    replayed = replay_beside(bundle)
    if replayed is None:
        say(f"next: {command('replay', bundle, '--out', neighbour(bundle, 'replay'))}")
    else:
        say_how_to_evaluate(bundle, [replayed], out, "--bench", out)


def show(record: "BenchRecord") -> None:
    """Print one line per run, then the notes."""
    title = f"Measured with preset {record.preset!r}; a dash means too few calls for that percentile"
    results.print(table(HEADINGS, bench_rows(record), title, words=2))
    for note in layer_notes(record):
        results.print(note, markup=False, highlight=False)
    for note in bench_notes(record):
        results.print(note, markup=False, highlight=False)

"""``segeval replay``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from segeval.commands.options import Option, Out, Quiet, command
from segeval.commands.tables import number, table
from segeval.console import progress, results, say

if TYPE_CHECKING:
    from segeval.replays import Replay


def replay(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle made by segeval deploy.")],
    out: Out,
    backend: Annotated[str, Option("--backend", help="Engine of the runner.")] = "onnxruntime",
    engine: Annotated[list[str], Option("--engine", help="Only this model.precision; repeatable.")] = [],
    warmup: Annotated[int, Option("--warmup", min=0, help="Calls before the first measured one.")] = 3,
    threads: Annotated[int, Option("--threads", min=0, help="CPU threads; 0 is one per core.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Run a bundle on this machine, with its own runner in a process of its own. Continues an interrupted replay.

    \b
    segeval replay runs/bundle --out runs/replay
    """
    from segeval.deploy import replay as run_bundle

    with progress(quiet) as tick:
        done = run_bundle(bundle, out, tick, backend, engine, warmup, threads)
    show_latencies(done)
    say(f"next: {command('evaluate', 'SET', out, '--out', out.with_name(out.name + '-report'))}")


def show_latencies(done: "Replay") -> None:
    """Latency percentiles per engine; dashes for one that was begun and has no result yet."""
    rows = []
    for engine in done.engines:
        times = list(done.latencies(engine.name).values())
        half, most = np.percentile(times, [50, 90]).tolist() if times else (None, None)
        rows.append((engine.name, f"{engine.backend} {engine.backend_version}", number(half, 1), number(most, 1)))
    results.print(table(("engine", "runs on", "p50 ms", "p90 ms"), rows, "Latency of one call", words=2))

"""``segeval evaluate``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from segeval.commands.options import AsJson, Option, Out, Quiet, Seed
from segeval.console import progress, results, say


def evaluate(
    adversarial_set: Annotated[Path, typer.Argument(metavar="SET", help="A set made by segeval craft.")],
    replay: Annotated[list[Path], typer.Argument(metavar="REPLAY...", help="One or more replays of it.")],
    out: Out,
    bench: Annotated[
        list[Path], Option("--bench", metavar="DIR", help="Put this benchmark of the bundle beside it; repeatable.")
    ] = [],
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure how much of each attack survived, and write the report.

    \b
    segeval evaluate runs/set runs/replay --out runs/report

    \b
    segeval evaluate runs/set runs/replay --bench runs/bench --out runs/report
    """
    from segeval.evaluate import benchmark_table, read_benchmark_report, survival_table
    from segeval.evaluate import evaluate as measure

    with progress(quiet) as tick:
        report = measure(adversarial_set, replay, out, seed, tick, bench)
    if as_json:
        typer.echo((out / "report.json").read_bytes(), nl=False)
    else:
        results.print(survival_table(report))
        if bench:
            results.print(benchmark_table(read_benchmark_report(out)))
        results.print(Text("\n".join((*report.verdict, *report.notes))))
    say(f"report: {out / 'report.html'}")

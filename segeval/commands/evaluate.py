"""``segeval evaluate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segeval.commands.options import AsJson, CountingWorkers, Gates, Option, Out, Quiet, Seed, SetArgument
from segeval.console import progress, results, say
from segeval.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segeval.evaluate import Finding, SurvivalReport


def evaluate(
    adversarial_set: SetArgument,
    replay: Annotated[list[Path], typer.Argument(metavar="REPLAY...", help="Replays of the set, one or more.")],
    out: Out,
    bench: Annotated[
        list[Path], Option("--bench", metavar="DIR", help="Add this benchmark of the bundle to the report; repeatable.")
    ] = [],
    gate: Gates = [],
    junit: Annotated[Path | None, Option("--junit", metavar="FILE", help="Write the gates as JUnit XML.")] = None,
    summary: Annotated[
        Path | None, Option("--summary", metavar="FILE", help="Write the gates as Markdown, for a pull request.")
    ] = None,
    label_maps: Annotated[bool, Option("--label-maps", help="Also write the label maps as PNG.")] = False,
    workers: CountingWorkers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure how much of each attack survived, and write the report.

    \b
    segeval evaluate runs/set runs/replay --out runs/report

    \b
    segeval evaluate runs/set runs/replay --bench runs/bench --out runs/report

    \b
    segeval evaluate runs/set runs/replay --out runs/report --junit gates.xml \\
        --gate 'int8.success < 0.5' --gate 'tanh-full: int8.miou_drop < 0.02 and int8.survival < 0.9'
    """
    from segeval.api import evaluate as measure
    from segeval.evaluate import (
        benchmark_table,
        check_gates,
        conclusion,
        parse_gate,
        read_benchmark_report,
        require_known_gates,
    )
    from segeval.evaluate.report.report_folder import require_free, require_place
    from segeval.evaluate.report.report_reading import KEPT

    gates = [parse_gate(text) for text in gate]
    if (junit or summary) and not gates:
        raise ConfigurationError("--junit and --summary need a gate", "add --gate")
    require_place(out, KEPT)
    require_free([file for file in (junit, summary) if file is not None], out, KEPT)
    require_known_gates(gates, adversarial_set, replay)
    with progress(quiet) as tick:
        made = measure(adversarial_set, replay, out, seed, tick, workers, benches=bench, label_maps=label_maps)
    report = made.record
    if as_json:
        typer.echo((out / "report.json").read_bytes(), nl=False)
    else:
        show(report)
        if bench:
            results.print(benchmark_table(read_benchmark_report(out)))
        results.print(conclusion(report))
    say(f"report: {out / 'report.html'}")
    if gates:
        judge(check_gates(report, gates), report, junit, summary)


def show(report: "SurvivalReport") -> None:
    """Print the tables of a report: a worst case of several attacks comes before survival."""
    from segeval.evaluate import (
        adaptive_in_terminal,
        clean_in_terminal,
        corruptions_in_terminal,
        differences_in_terminal,
        survival_in_terminal,
        sweeps_in_terminal,
        under_attack_in_terminal,
    )

    first = [survival_in_terminal, under_attack_in_terminal]
    if any(row.is_worst for row in report.attacked):
        first.reverse()
    for tables_of in (
        *first,
        adaptive_in_terminal,
        clean_in_terminal,
        corruptions_in_terminal,
        sweeps_in_terminal,
        differences_in_terminal,
    ):
        for table in tables_of(report):
            results.print(table)


def judge(findings: "Sequence[Finding]", report: "SurvivalReport", junit: Path | None, summary: Path | None) -> None:
    """Write what the gates found. Raises GateMissedError naming each that was missed."""
    from segeval.evaluate import gates_as_junit, gates_as_markdown, require_gates_held
    from segeval.files.storage import write_atomic

    if junit is not None:
        write_atomic(junit, gates_as_junit(findings))
    if summary is not None:
        write_atomic(summary, gates_as_markdown(findings, report.verdict).encode())
    say(require_gates_held(findings))

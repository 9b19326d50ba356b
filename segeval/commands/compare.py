"""``segeval compare``."""

from pathlib import Path
from typing import Annotated

import typer

from segeval.commands.options import AsJson, Gates, Option, Quiet, Seed
from segeval.console import progress, results, say


def compare(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="A report made by segeval evaluate.")],
    run_b: Annotated[
        Path, typer.Argument(metavar="RUN_B", help="The report to compare with it; differences are B minus A.")
    ],
    out: Annotated[
        Path | None, Option("--out", help="Folder for compare.json, compare.csv and compare.md.", show_default=False)
    ] = None,
    gate: Gates = [],
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show what changed between two reports.

    They may be of two devices, two JetPacks or two commits. Images are paired, and differences are tested with a
    correction for multiple tests. Significant ones come first.

    \b
    segeval compare runs/report-orin runs/report-thor

    \b
    segeval compare runs/main runs/branch --out runs/compared    # compare.md goes into the pull request

    \b
    segeval compare runs/release runs/branch --gate 'int8.success.change < 0.05'
    """
    from segeval.api import compare as measure
    from segeval.evaluate import check_changes, parse_change_gate, read_report, require_gates_held
    from segeval.evaluate.compare import comparison_view
    from segeval.files.encoding import encode_sealed

    gates = list(map(parse_change_gate, gate))
    with progress(quiet) as tick:
        comparison = measure(run_a, run_b, out, seed, tick).record
    if as_json:
        typer.echo(encode_sealed(comparison, indent=2))
    else:
        for part in comparison_view(comparison):
            results.print(part)
    if out is not None:
        say(f"comparison: {out / 'compare.md'}")
    if gates:
        findings = check_changes(read_report(run_a), read_report(run_b), comparison, gates)
        say(require_gates_held(findings))

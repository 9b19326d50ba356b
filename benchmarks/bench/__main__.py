"""Measure what segeval's work costs beside its floor, and write docs/bench.json and the table in docs/speed.md.

python -m benchmarks.bench                     everything
python -m benchmarks.bench --quick             part of it, in 3 minutes
python -m benchmarks.bench crafting replay     some sections
python -m benchmarks.bench --quick --check     compare with docs/bench.json instead of writing it
"""

import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from segeval.files.provenance import versions

from .record import Measured, Results, read, slower, write
from .table import missed, put, row

DOCS = Path(__file__).parents[2] / "docs"
SECTIONS = ("start", "crafting", "peers", "replay", "deploy", "evaluate", "demo", "memory")
PACKAGES = ("torch", "numpy", "onnxruntime", "pillow")


def machine() -> str:
    """The processor, and how many of its cores there are."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    cores = sum(line.startswith("processor") for line in lines)
    return f"{model or platform.processor()}, {cores} cores, Python {platform.python_version()}"


def measures() -> Mapping[str, Callable[[bool], Iterator[Measured]]]:
    """What measures each section."""
    return {name: import_module(f"{__package__}.{name}_bench").measure for name in SECTIONS}


def main(
    sections: Annotated[list[str] | None, typer.Argument(help=", ".join(SECTIONS))] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer cases and rounds.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Compare with docs/bench.json; write nothing.")] = False,
    tolerance: Annotated[float, typer.Option(help="Share by which a ratio may exceed the stored one.")] = 0.1,
) -> None:
    """Measure, then write or compare."""
    if unknown := set(sections or ()) - set(SECTIONS):
        raise typer.BadParameter(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    stored = read(DOCS / "bench.json")
    if check and stored is None:
        raise typer.BadParameter("docs/bench.json is not there: run it without --check first")
    found: list[Measured] = []
    for name, measure in measures().items():
        for each in measure(quick) if name in (sections or SECTIONS) else ():
            found.append(each)
            typer.echo(row(each))
    if check and stored is not None:
        lines = slower(found, stored, tolerance)
        typer.echo("\n".join(lines) or f"no ratio is more than {100 * tolerance:.0f} % above the stored one")
        sys.exit(bool(lines))
    results = Results(machine(), dict(versions(*PACKAGES)))
    results = Results(results.machine, results.versions, (stored or results).merged(found, SECTIONS))
    write(DOCS / "bench.json", results)
    put(DOCS / "speed.md", results)
    typer.echo("\n".join(missed(found)) or "every target was met")


if __name__ == "__main__":
    typer.run(main)

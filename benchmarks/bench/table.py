"""Measurements as a table in Markdown."""

from collections.abc import Iterable
from pathlib import Path

from .record import Measured, Results

BEGIN, END = "<!-- written by python -m benchmarks.bench -->", "<!-- end -->"
HEAD = (
    "| section | case | ours | floor | ratio | by the clock | target | measured |\n"
    "|---|---|---:|---:|---:|---:|---:|---|"
)


def number(value: float | None, unit: str = "") -> str:
    """Three digits; nothing for None."""
    if value is None:
        return ""
    text = f"{value:.0f}" if value >= 100 else f"{value:.3g}"
    return f"{text} {unit}".strip()


def row(each: Measured) -> str:
    """One measurement."""
    target = "" if each.target is None else f"≤ {number(each.target)}"
    ratios = ["" if value is None else f"{value:.3f}" for value in (each.ratio, each.wall)]
    cells = [each.section, each.case, number(each.ours, each.unit), number(each.floor, each.unit), *ratios]
    return "| " + " | ".join([*cells, target, each.date]) + " |"


def missed(measured: Iterable[Measured]) -> list[str]:
    """In words, the targets that were not met."""
    return [
        f"{each.section}: {each.case}: {each.held:.3f}, target {each.target:g}"
        for each in measured
        if each.target is not None and each.held > each.target
    ]


def put(page: Path, results: Results) -> None:
    """Replace the table of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    packages = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    lines = [BEGIN, "", f"{results.machine}; {packages}.", "", HEAD, *map(row, results.measured), "", END]
    page.write_text(before + "\n".join(lines) + after, encoding="utf-8")

"""The table of docs/tensorrt.md that the check writes."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tests.tensorrt_build.files import Case

PAGE = Path(__file__).parents[2] / "docs/tensorrt.md"
BEGIN, END = "<!-- builds: written by `make check-tensorrt-build` -->\n", "<!-- end of builds -->\n"
HEADINGS = ("network", "precision", "layers", "convolutions", "conversions to int8", "engine, MB")


class Row(Protocol):
    """What the table shows of a build."""

    @property
    def case(self) -> Case: ...
    @property
    def facts(self) -> Mapping[str, Any]: ...


def row(each: Row) -> list[str]:
    """One line of the table."""
    facts = each.facts
    convolutions, conversions = told(facts["convolutions"]), told(facts["conversions"])
    size = f"{facts['engine_bytes'] / 1e6:.1f}"
    return [each.case.network, each.case.precision, str(facts["layers"]), convolutions, conversions or "–", size]


def told(counts: Mapping[str, int]) -> str:
    """Counts by types, as in ``52 int8→fp32``."""
    return ", ".join(f"{count} {types.replace(' to ', '→')}" for types, count in counts.items())


def table(rows: Sequence[Row]) -> str:
    """The table in Markdown, with the library that built."""
    library = rows[0].facts["library"]
    lines = [
        f"{library} for compute capability {rows[0].facts['capabilities'][0]}.",
        "",
        "| " + " | ".join(HEADINGS) + " |",
        "|---|---|---:|---|---|---:|",
        *("| " + " | ".join(row(each)) + " |" for each in rows),
    ]
    return "\n".join(lines) + "\n"


def parts() -> tuple[str, str, str]:
    """The page before, between and after the marks."""
    before, begun, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    between, ended, after = rest.partition(END)
    assert begun and ended, f"{PAGE} lacks its marks"
    return before + begun, between, ended + after


def write_page(rows: Sequence[Row]) -> None:
    """Put the table into the page."""
    before, _, after = parts()
    PAGE.write_text(f"{before}\n{table(rows)}\n{after}", encoding="utf-8")


def page_is_current(rows: Sequence[Row]) -> bool:
    """Whether the page has these rows, but for what depends on the processor that calibrated and on the weights."""
    _, between, _ = parts()
    shown = [line.strip("| ").split(" | ") for line in between.splitlines() if line.startswith("| ")]
    return [lasting(row(each)) for each in rows] == [lasting(cells) for cells in shown[1:]]


def lasting(cells: Sequence[str]) -> list[str]:
    """What a row says on every processor: of quantized files, how many convolutions read int8.

    Calibration rounds differently from one processor to the next. Where two scales are equal, TensorRT merges their
    conversions, so that layers, conversions and what is computed in float differ by a few.
    """
    network, precision, layers, convolutions = cells[:4]
    if not precision.startswith("int8"):
        return [network, precision, layers, convolutions]
    return [network, precision, *re.findall(r"\d+ int8→", convolutions)]

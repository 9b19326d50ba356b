"""A comparison of two runs for a terminal."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from rich.console import RenderableType
from rich.table import Table

from segeval.plain_table import as_shown, lines, plain_table

from .compare_findings import tested_of
from .compare_records import Change, RunComparison
from .compare_wording import CLEAN_HEADINGS, HEADINGS, cells, clean_cells, only_lines, rest_line, run_line, shown

CAPTION = "Means over the images of both runs. p: two-sided permutation test, Holm's correction for all {} tests."
NOISE_CAPTION = "noise: share of labels that changes with the order of summation alone."
UNKNOWN = "–"
"""A cell without a number."""
OPTIONAL = ("noise %", "p")
"""Columns that are left out where nothing is known of them."""


def comparison_view(comparison: RunComparison) -> Iterator[RenderableType]:
    """What to print, in order; that nothing is significant stands before the rows.

    Names are shown as they are: nothing in them is taken for markup.
    """
    runs = (run_line("A", comparison.a), run_line("B", comparison.b))
    found = any(change.significant for change in comparison.changes)
    first, last = ([], [comparison.finding]) if found else ([comparison.finding], [])
    yield lines((*runs, *filter(None, [comparison.conditions]), *first))
    yield from tables(comparison)
    rest = rest_line(comparison.changes)
    more = [f"{rest}: --json and --out have all."] if rest else []
    below = (*last, *comparison.notes, *only_lines(comparison), *more)
    if below:
        yield lines(below)


def tables(comparison: RunComparison) -> Iterator[Table]:
    """What was tested; what was not, a table per task; and the clean images."""
    tested = tested_of(comparison.changes)
    alone = len({change.model for change in comparison.changes} | {row.model for row in comparison.clean}) == 1
    parts: dict[tuple[bool, str | None], list[Change]] = {}
    for change in shown(comparison.changes):
        parts.setdefault((change in tested, change.task), []).append(change)
    for (is_tested, task), changes in parts.items():
        title = f"What changed{f' in {task}' if task else ''}{'' if is_tested else ' alone, not tested'}"
        styles = ["bold" if change.significant else "" for change in changes]
        rows = [cells(replace(change, task=None), alone) for change in changes]  # the title has the task
        yield table(title, HEADINGS, 3, rows, styles, CAPTION.format(len(tested)) if is_tested else "")
    if comparison.clean:
        rows = [clean_cells(row, alone) for row in comparison.clean]
        yield table("Clean images, not tested", CLEAN_HEADINGS, 1, rows)


def table(
    title: str,
    headings: Sequence[str],
    words: int,
    rows: Sequence[Sequence[str]],
    styles: Sequence[str] = (),
    caption: str = "",
) -> Table:
    """Rows of text; the first `words` columns are words, the others numbers."""
    columns = enumerate(zip(headings, zip(*rows, strict=True), strict=True))
    told = [index for index, (heading, column) in columns if heading not in OPTIONAL or set(column) != {UNKNOWN}]
    noise = NOISE_CAPTION if "noise %" in [headings[index] for index in told] else ""
    made = plain_table(title, " ".join(filter(None, (caption, noise))))
    for index in told:
        justify: Literal["left", "right"] = "left" if index < words else "right"
        made.add_column(headings[index], overflow="fold", justify=justify, no_wrap=index >= words)
    for row, style in zip(rows, styles or [""] * len(rows), strict=True):
        made.add_row(*(as_shown(row[index]) for index in told), style=style)
    return made

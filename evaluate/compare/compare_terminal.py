"""A comparison of two runs for a terminal."""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table

from ..report.plain_table import as_shown, lines, plain_table
from .compare_findings import tested_of
from .compare_records import RunComparison
from .compare_wording import CLEAN_HEADINGS, HEADINGS, cells, clean_cells, only_lines, rest_line, run_line, shown

CAPTION = (
    "Means over the images of both runs. p: two-sided permutation test, Holm's correction for all {} tests; "
    "single tasks of several are not tested. noise: labels that another order of the same sums changes."
)


def comparison_view(comparison: RunComparison) -> Iterator[RenderableType]:
    """What to print, in order; that nothing is more than chance stands before the rows.

    Names are shown as they are: nothing in them is taken for markup.
    """
    runs = (run_line("A", comparison.a), run_line("B", comparison.b))
    found = any(change.significant for change in comparison.changes)
    first, last = ([], [comparison.finding]) if found else ([comparison.finding], [])
    yield lines((*runs, *filter(None, [comparison.conditions]), *first))
    listed = shown(comparison.changes)
    tested = len(tested_of(comparison.changes))
    styles = ["bold" if change.significant else "" for change in listed]
    if listed:
        yield table("What changed", HEADINGS, 3, map(cells, listed), styles, CAPTION.format(tested))
    if comparison.clean:
        rows = [clean_cells(row) for row in comparison.clean]
        yield table("Clean images, not tested", CLEAN_HEADINGS, 1, rows, [""] * len(rows))
    rest = rest_line(comparison.changes)
    more = [f"{rest}: --json and --out have all."] if rest else []
    below = (*last, *comparison.notes, *only_lines(comparison), *more)
    if below:
        yield lines(below)


def table(
    title: str,
    headings: Sequence[str],
    words: int,
    rows: Iterable[Sequence[str]],
    styles: Sequence[str],
    caption: str = "",
) -> Table:
    """Rows of text; the first `words` columns are words, the others numbers."""
    made = plain_table(title, caption)
    for index, heading in enumerate(headings):
        made.add_column(heading, overflow="fold", justify="left" if index < words else "right", no_wrap=index >= words)
    for row, style in zip(rows, styles, strict=True):
        made.add_row(*map(as_shown, row), style=style)
    return made

"""compare.csv and compare.md."""

from collections.abc import Iterable, Sequence

from segeval.console import visible

from ..report.report_csv import CsvLine, tested_cells
from .compare_records import Change, RunComparison
from .compare_wording import CLEAN_HEADINGS, HEADINGS, cells, clean_cells, only_lines, rest_line, run_line, shown


def change_line(change: Change) -> CsvLine:
    """A change, from a to b."""
    return tested_cells(change, first="a", second="b")


def markdown(comparison: RunComparison) -> str:
    """The comparison for a pull request: the finding, what to know about it, and the tables."""
    lines = ["### segeval: B compared with A", ""]
    lines += [escaped(comparison.conditions), ""] if comparison.conditions else []
    lines += [escaped(comparison.finding), ""]
    lines += [f"* {escaped(run_line(letter, run))}" for letter, run in (("A", comparison.a), ("B", comparison.b))]
    lines += [f"* {escaped(line)}" for line in (*comparison.notes, *only_lines(comparison))]
    listed = shown(comparison.changes)
    rows = [marked(cells(change), change.significant) for change in listed]
    lines += ["", *table(HEADINGS, 3, rows)]
    rest = rest_line(comparison.changes)
    lines += [f"{rest}: all are in compare.csv.", ""] if rest else []
    lines += table(CLEAN_HEADINGS, 1, [clean_cells(row) for row in comparison.clean])
    return "\n".join(lines)


def marked(row: Sequence[str], significant: bool) -> list[str]:
    """A row whose p is bold if it is significant."""
    place = HEADINGS.index("p")
    return [f"**{cell}**" if significant and index == place else cell for index, cell in enumerate(row)]


def table(headings: Sequence[str], words: int, rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table, none without rows; the first `words` columns are words, the others numbers."""
    body = list(map(joined, rows))
    if not body:
        return []
    rule = "|" + "".join("---|" if index < words else "---:|" for index in range(len(headings)))
    return [joined(headings), rule, *body, ""]


def joined(row: Sequence[str]) -> str:
    """A line of a table."""
    return "| " + " | ".join(map(escaped, row)) + " |"


def escaped(text: str) -> str:
    """Text that cannot end a cell, or begin HTML, a link or another line, or change the writing direction."""
    return visible(" ".join(text.split())).replace("|", "\\|").replace("<", "&lt;").replace("](", "]\\(")

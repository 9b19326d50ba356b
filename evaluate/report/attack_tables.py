"""Tables of attacks for a terminal: one per network, a line per attack and engine."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from rich.table import Table

from segeval.plain_table import as_shown, plain_table

from ..measure.row_key import Keyed, RowKey, within_model

Row = TypeVar("Row", bound=Keyed)


def attack_tables(
    rows: Sequence[Row],
    title: Callable[[str], str],
    caption: str,
    headings: Sequence[str],
    cells: Callable[[Row], Sequence[str]],
) -> Iterator[Table]:
    """The tables, in the order of the rows. Names are shown as they are: nothing in them is taken for markup.

    Args:
        rows: those of an attack follow each other.
        title: of a network's table.
        caption: below the last table.
        headings: of the numbers.
        cells: of a row: its attack, then its numbers.
    """
    models = list(dict.fromkeys(row.model for row in rows))
    for model in models:
        table = plain_table(title(model), caption if model == models[-1] else "")
        for heading in ("attack", "engine"):
            table.add_column(heading, overflow="fold")
        for heading in headings:
            table.add_column(heading, justify="right", no_wrap=True)
        before: RowKey | None = None
        for row in (row for row in rows if row.model == model):
            group = row.key.over_engines()
            if before and group != before:
                table.add_section()
            attack, *numbers = cells(row)
            first = "" if group == before else attack
            table.add_row(*map(as_shown, (first, within_model(row.engine, model), *numbers)))
            before = group
        yield table

"""A table that never breaks a word: where the terminal is too narrow for its columns, each row becomes a block."""

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

EVER_WIDE = 10_000
"""Characters in which every table fits."""


class FittingTable(Table):
    """Columns where their longest words fit side by side; else a block per row, its first cell as the heading."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table, or its blocks."""
        if self.least_width(console, options) <= options.max_width or len(self.columns) < 2:
            yield from super().__rich_console__(console, options)
            return
        yield from filter(None, (self.title, Text()))
        for cells in zip(*(column.cells for column in self.columns), strict=True):
            yield Group(*self.block(cells))
        yield from filter(None, (self.caption,))

    def least_width(self, console: Console, options: ConsoleOptions) -> int:
        """Characters in which no word has to be broken, and no line of a column that does not wrap."""
        wide = options.update(width=EVER_WIDE)
        least = Measurement.get(console, wide, self).minimum
        for column in (column for column in self.columns if column.no_wrap):
            found = [Measurement.get(console, wide, cell) for cell in column.cells]
            least += max((each.maximum for each in found), default=0) - max((each.minimum for each in found), default=0)
        return least

    def block(self, cells: tuple[RenderableType, ...]) -> Iterator[RenderableType]:
        """The lines of one row."""
        first, *others = cells
        yield first
        for column, cell in zip(self.columns[1:], others, strict=True):
            text = cell if isinstance(cell, Text) else Text(str(cell))
            if text.plain.strip():
                heading = Text(f"{column.header}: " if str(column.header) else "")
                yield Padding(heading + text, (0, 0, 0, 2))

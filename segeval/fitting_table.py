"""A table that never breaks a word: where the terminal is too narrow for its columns, each row becomes a block."""

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

EVER_WIDE = 10_000
"""Characters in which every table fits."""
INDENT = (0, 0, 0, 2)
"""Of the lines of a block but its first."""
SHORT = 16
"""Characters up to which a column is not to wrap."""


class FittingTable(Table):
    """Columns where their longest words fit side by side; else a block per row, its first cell as the heading."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table, or its blocks."""
        wide = options.update(width=EVER_WIDE)
        contents = [self.measured(console, wide, column) for column in self.columns]
        between = Measurement.get(console, wide, self).maximum - sum(each.maximum for each in contents)
        room = options.max_width - between - sum(each.minimum for each in contents)
        if room >= 0 or len(self.columns) < 2:
            for column, width in zip(self.columns, shared(contents, room), strict=True):
                column.width = width
            yield from super().__rich_console__(console, options)
            return
        yield from filter(None, (self.title, Text()))
        for cells in zip(*(column.cells for column in self.columns), strict=True):
            yield Group(*self.block(cells, options.max_width))
        yield from filter(None, (self.caption,))

    def measured(self, console: Console, options: ConsoleOptions, column: Column) -> Measurement:
        """The narrowest and the widest that a column may be; they are equal if it does not wrap."""
        cells = [Measurement.get(console, options, cell) for cell in (column.header, *column.cells)]
        widest = max(each.maximum for each in cells)
        return Measurement(widest if column.no_wrap else max(each.minimum for each in cells), widest)

    def block(self, cells: tuple[RenderableType, ...], width: int) -> Iterator[RenderableType]:
        """The lines of one row; short texts share lines, and none is broken between two."""
        first, *others = cells
        yield first
        together: list[Text] = []
        for column, cell in zip(self.columns[1:], others, strict=True):
            text = cell if isinstance(cell, Text) else Text(str(cell))
            if not text.plain.strip():
                continue
            told = Text(f"{column.header}: " if str(column.header) else "") + text
            if len(text) <= SHORT:
                together.append(told)
                continue
            yield from joined(together, width)
            together = []
            yield indented(told)
        yield from joined(together, width)


def joined(texts: Sequence[Text], width: int) -> Iterator[RenderableType]:
    """Texts side by side on as many lines as they need."""
    line: list[Text] = []
    for text in texts:
        if line and INDENT[3] + len(Text(", ").join([*line, text])) + 1 > width:  # + 1: the comma at the end
            yield indented(Text(", ").join(line) + Text(","))
            line = []
        line.append(text)
    if line:
        yield indented(Text(", ").join(line))


def indented(text: Text) -> Padding:
    """A line of a block."""
    return Padding(text, INDENT, expand=False)


def shared(contents: Sequence[Measurement], room: int) -> list[int]:
    """Widths of columns: the least of each, and `room` characters more.

    Columns of short texts, such as numbers with units, get all they need first; then each character goes to the column
    that lacks most.
    """
    widths = [each.minimum for each in contents]
    for place, each in enumerate(contents):
        if each.maximum <= SHORT and each.maximum - each.minimum <= room:
            room -= each.maximum - each.minimum
            widths[place] = each.maximum
    for _ in range(max(room, 0)):
        lacking = [each.maximum - width for each, width in zip(contents, widths, strict=True)]
        if max(lacking) <= 0:
            break
        widths[lacking.index(max(lacking))] += 1
    return widths

"""How tables and sentences look in a terminal."""

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from segeval.console import visible
from segeval.fitting_table import FittingTable


def as_shown(text: str) -> Text:
    """The text of a cell: nothing in it is taken for markup or obeyed by a terminal."""
    return Text(visible(text))


def lines(texts: Iterable[str]) -> Text:
    """Sentences below each other, as `as_shown`."""
    return Text("\n".join(map(visible, texts)))


def plain_table(title: str, caption: str = "") -> Table:
    """An empty table with its title above and its caption below, at the left. Nothing in them is taken for markup."""
    return FittingTable(
        title=as_shown(title) if title else None,
        title_justify="left",
        caption=as_shown(caption) if caption else None,
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )

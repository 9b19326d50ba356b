"""The look that tables in a terminal share."""

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text


def plain_table(title: str, caption: str = "") -> Table:
    """An empty table with its title above and its caption below, at the left. Nothing in them is taken for markup."""
    return Table(
        title=Text(title),
        title_justify="left",
        caption=Text(caption) if caption else None,
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )

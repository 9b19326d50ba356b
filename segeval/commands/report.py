"""``segeval report``."""

from pathlib import Path
from typing import Annotated

import typer

from segeval.commands.options import Option
from segeval.console import say
from segeval.errors import counted


def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUNS...", help="Reports of segeval evaluate, or folders that hold some.")
    ],
    out: Annotated[Path, Option("--out", metavar="FILE", help="The page to write.")] = Path("index.html"),
) -> None:
    """Put many reports side by side on one page: a row per run and network, with links to their reports.

    A run that cannot be read is listed with the reason.

    \b
    segeval report runs/monday runs/tuesday --out runs/index.html

    \b
    segeval report artifacts --out artifacts/index.html    # every report below a folder, as a build server keeps them
    """
    from segeval.evaluate.index.index_page import require_index_place, write_index
    from segeval.evaluate.index.indexed_runs import index_runs

    require_index_place(out)
    index = index_runs(runs)
    write_index(index, out)
    for unread in index.unread:
        say(f"cannot be read: {unread.name}: {unread.reason}")
    say(f"page of {counted(len(index.runs), 'run')}: {out}")

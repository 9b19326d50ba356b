"""index.html over many runs: one file that needs no network, with links to their reports."""

import os
from pathlib import Path
from urllib.parse import quote

from segeval.console import visible
from segeval.errors import ConfigurationError
from segeval.files.storage import explaining, write_atomic

from ..report.page import TEMPLATES, environment
from ..report.renewal import make_above
from ..report.report_folder import require_free
from ..report.report_reading import KEPT
from .indexed_runs import IndexedRun, RunIndex

OWN_TEMPLATES = Path(__file__).parent / "templates"
MARK = b'<meta name="generator" content="segeval'
"""Marks a page as segeval's; it is within the first bytes."""
HEAD = 4096


def require_index_place(out: Path) -> None:
    """Raise ConfigurationError if a page may not be written there: over a file that is none of segeval's, or among the
    files of one of its folders.
    """
    require_free([out], None, KEPT)
    with explaining(out):
        if out.is_file():
            with out.open("rb") as file:
                if MARK not in file.read(HEAD):
                    raise ConfigurationError(f"{out} is no page of segeval", "name another file with --out")


def write_index(index: RunIndex, out: Path) -> None:
    """Write the page. Raises StorageError, and ConfigurationError as `require_index_place`."""
    require_index_place(out)
    make_above(out)
    write_atomic(out, rendered(index, out.parent))


def rendered(index: RunIndex, folder: Path) -> bytes:
    """UTF-8 HTML of a page in `folder`, from which its links lead."""
    template = environment(folders=(OWN_TEMPLATES, TEMPLATES)).get_template("index.html.j2")
    links = {run.page: link_to(run.page, folder) for run in index.runs if run.page is not None}
    return template.render(index=index, links=links, report={"notes": notes(index)}, short=short).encode()


def link_to(page: Path, folder: Path) -> str:
    """A relative link from a page in `folder`, with forward slashes."""
    return quote(Path(os.path.relpath(page.resolve(), folder.resolve())).as_posix())


def notes(index: RunIndex) -> tuple[str, ...]:
    """What a reader has to know before believing the numbers."""
    found = [f"Cannot be read: {visible(run.name)}: {visible(run.reason)}." for run in index.unread]
    tasks = dict.fromkeys(run.task or "several tasks together" for run in index.runs)
    if len(tasks) > 1:
        found.append(f"The runs are about different tasks, and not to be compared: {', '.join(tasks)}.")
    return tuple(found)


def short(run: IndexedRun) -> str:
    """The revision as Git shortens it."""
    return run.revision[:10] or "unknown"

"""``segeval fetch``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segeval.commands.options import Option, Quiet, command
from segeval.commands.text_tables import table
from segeval.console import progress, results, say
from segeval.errors import FetchError, UnknownNameError, counted, nearest, some
from segeval.fetching.sources import SOURCES, RemoteFile, Source
from segeval.places import cache_folder

if TYPE_CHECKING:
    from segeval.fetching.inventory import Inventory


GITHUB = "https://raw.githubusercontent.com"


def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="What to fetch.", show_default="list what is available")
    ] = None,
    base: Annotated[
        str, Option("--base", metavar="URL", help="A mirror that serves OWNER/REPOSITORY/COMMIT/PATH.")
    ] = GITHUB,
    offline: Annotated[bool, Option("--offline", help="Check the local files; download nothing.")] = False,
    quiet: Quiet = False,
) -> None:
    """Download and verify datasets and published weights.

    The other commands find them. Files that are already correct are kept; interrupted downloads are continued.

    \b
    segeval fetch camvid espnet-camvid
    """
    from segeval.fetching.inventory import take

    chosen = [known(name) for name in dict.fromkeys(names or SOURCES)]
    cache = cache_folder()
    inventories = [take(source) for source in chosen]
    if not names:
        show_list(inventories)
        return
    if not quiet:
        show_plan(inventories, base)
    elif not offline:
        show_licences(inventories)
    if offline:
        require_all(inventories)
    elif any(inventory.wanted for inventory in inventories):
        require_cached(inventories)
        download(inventories, base, cache, quiet)
    for each in inventories:
        typer.echo(f"{each.source.name}: {counted(len(each.files), 'file')} in {each.folder}, all verified")
    if not quiet:
        say(f"next: {command(*chosen[-1].goes_on)}")


def known(name: str) -> Source:
    """The source of this name. Raises UnknownNameError, with the nearest known names, if there is none."""
    if name in SOURCES:
        return SOURCES[name]
    hint = f"{nearest(name, SOURCES)} `segeval fetch` lists what is available"
    raise UnknownNameError(f"nothing called {name!r} to fetch", hint)


def download(inventories: Sequence["Inventory"], base: str, cache: Path, quiet: bool) -> None:
    """Fetch what is missing, source by source."""
    from segeval.fetching.batch import fetch_wanted
    from segeval.fetching.inventory import take
    from segeval.fetching.lock import alone
    from segeval.fetching.server import Server

    server = Server(base)
    waits = "another segeval fetch is using this cache; waiting for it to finish"
    with alone(cache, lambda: say(waits)) as waited, progress(quiet) as tick:
        for before in inventories:
            inventory = take(before.source) if waited else before
            if inventory.wanted:
                fetch_wanted(inventory, server, cache, tick)


def require_cached(inventories: Sequence["Inventory"]) -> None:
    """Raise FetchError for a source whose place in SEGEVAL_DATA holds other files: commands would read those."""
    for each in inventories:
        if each.wanted and not each.is_cached:
            what = f"{each.folder} in SEGEVAL_DATA is read before the cache, and {counted(len(each.wanted), 'file')} of"
            raise FetchError(
                f"{what} {each.source.name} are others there or missing: {paths(each.wanted)}",
                "use it as it is, or rename it and fetch again",
            )


def require_all(inventories: Sequence["Inventory"]) -> None:
    """Raise FetchError, naming files, unless everything is here."""
    lines = [
        f"{inventory.source.name}: {len(files)} of {counted(len(inventory.files), 'file')} {what}: {paths(files)}"
        for inventory in inventories
        for what, files in (("missing", inventory.missing), ("damaged", inventory.different))
        if files
    ]
    if lines:
        names = [inventory.source.name for inventory in inventories if inventory.wanted]
        raise FetchError(
            "some files are missing or damaged\n  " + "\n  ".join(lines), f"get them with {command('fetch', *names)}"
        )


def paths(files: Sequence[RemoteFile]) -> str:
    """The first few of many files, for a message."""
    return some([file.path for file in files], 3)


def show_list(inventories: Sequence["Inventory"]) -> None:
    """What can be fetched, on stdout."""
    rows = [
        (
            each.source.name,
            each.source.title,
            str(len(each.files)),
            size(each.source, each.files),
            each.local,
            each.source.licence,
        )
        for each in inventories
    ]
    results.print(table(("name", "what", "files", "size", "local", "licence"), rows, words=6))
    missing = [each.source.name for each in inventories if each.wanted]
    if missing:
        say(f"next: {command('fetch', missing[0])}")


def show_plan(inventories: Sequence["Inventory"], base: str) -> None:
    """Print what will be downloaded, from where, under which licence, and its size."""
    mirror = "" if base == GITHUB else f", by way of {base}"
    for inventory in inventories:
        source, files, wanted = inventory.source, inventory.files, inventory.wanted
        origins = dict.fromkeys(f"https://github.com/{file.repository} at {file.commit[:8]}" for file in files)
        say(f"{source.name}: {source.title}")
        say(f"  licence: {source.licence}")
        say(f"  from: {' and '.join(origins)}{mirror}")
        say(f"  into: {inventory.folder}" if inventory.is_cached else f"  in SEGEVAL_DATA: {inventory.folder}")
        say(f"  {counted(len(files), 'file')}, {len(wanted)} to fetch{f', {size(source, wanted)}' if wanted else ''}")
        if inventory.different and inventory.is_cached:
            say(f"  damaged, will be replaced: {paths(inventory.different)}")


def show_licences(inventories: Sequence["Inventory"]) -> None:
    """Print the licence of everything that will be downloaded, even with --quiet."""
    for inventory in inventories:
        if inventory.wanted:
            say(f"{inventory.source.name}: licence: {inventory.source.licence}")


def size(source: Source, files: Sequence[RemoteFile]) -> str:
    """The total size of files of a source, in words."""
    sizes = [file.size for file in files if file.size is not None]
    if len(sizes) == len(files):
        return f"{sum(sizes) / 1e6:.1f} MB"
    if source.at_least and len(files) == len(source.files()):
        return f"at least {source.at_least / 1e6:.0f} MB"
    return "unknown size"

"""Download one file: resumed after an interruption, verified, and stored completely or not at all."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from threading import Event

from segeval.errors import FetchError, IntegrityError, StorageError
from segeval.fetching.inventory import found
from segeval.fetching.server import CutError, OutOfRangeError, Server, explained
from segeval.fetching.sources import RemoteFile
from segeval.files.storage import explaining

PAUSES = (0.5, 2.0, 5.0)
"""Seconds before the second, third and fourth try."""

LONGEST_PAUSE = 60.0
"""Seconds that a server may ask to wait for."""

LARGEST = 64 << 20
"""Bytes that a file may have whose size is not known."""

PIECE = 1 << 16


class StoppedError(Exception):
    """The download was told to stop."""


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals while writing into the cache into StorageError."""
    try:
        with explaining(path):
            yield
    except StorageError as error:
        hint = "free some space or set another cache folder with XDG_CACHE_HOME, then run it again; it continues"
        raise StorageError(error.what, hint) from error


def download(server: Server, file: RemoteFile, target: Path, stop: Event) -> None:
    """Put a file into its place. What an earlier try left in ``target.part`` is continued.

    Raises FetchError, IntegrityError, StorageError; StoppedError as soon as `stop` is set.
    """
    part = target.with_name(f"{target.name}.part")
    with storing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    for pause in (*PAUSES, None):
        try:
            receive(server, file, part, stop)
            break
        except CutError as cut:
            if pause is None or cut.wait > LONGEST_PAUSE:
                raise given_up(server.url(file), file, cut) from cut
            if stop.wait(max(pause, cut.wait)):
                raise StoppedError from None
    finish(server.url(file), file, part, target)


def given_up(url: str, file: RemoteFile, cut: CutError) -> FetchError:
    """The error after the last try."""
    later = f"in {cut.wait:.0f} s" if cut.wait else "later"
    return FetchError(
        f"{url} could not be downloaded: {cut}",
        f"run it again {later}, it continues; the files are also in a clone of https://github.com/{file.repository}",
    )


def receive(server: Server, file: RemoteFile, part: Path, stop: Event) -> None:
    """Bring ``part`` to its full length with one request, as far as the connection lasts. Raises CutError."""
    limit = LARGEST if file.size is None else file.size
    have = part.stat().st_size if part.is_file() else 0
    if have > limit:
        have = 0
    if have and have == file.size:
        return
    try:
        answer = server.open(server.url(file), have)
    except OutOfRangeError:
        return  # the part has it all; if not, its hash will say so
    with answer:
        start = first_byte(answer)
        if start not in (0, have):
            part.unlink(missing_ok=True)
            raise CutError("the server sent a different part of the file than requested")
        end = None if answer.length is None else start + answer.length
        if end is not None and end > limit:
            raise too_large(server.url(file), part, end, limit)
        with storing(part), part.open("ab" if start else "wb") as out:
            size = start
            for piece in pieces(answer, stop):
                size += len(piece)
                if size > limit:
                    raise too_large(server.url(file), part, size, limit)
                out.write(piece)
                out.flush()  # a thread that Ctrl-C leaves behind gets no chance to do it later
            os.fsync(out.fileno())
    whole = file.size if end is None else end
    if whole is not None and size < whole:
        raise CutError(f"the connection was cut after {size} of {whole} bytes")


def first_byte(answer: HTTPResponse) -> int:
    """The position in the file at which an answer begins."""
    if answer.status != 206:
        return 0
    match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(match[1]) if match else -1


def pieces(answer: HTTPResponse, stop: Event) -> Iterator[bytes]:
    """The body of an answer. Raises CutError if the connection breaks, StoppedError if `stop` is set."""
    while True:
        if stop.is_set():
            raise StoppedError
        try:
            piece = answer.read1(PIECE)
        except (OSError, HTTPException) as error:
            raise CutError(f"the connection broke: {explained(error)}") from error
        if not piece:
            return
        yield piece


def too_large(url: str, part: Path, size: int, limit: int) -> FetchError:
    """The error about a file that cannot be the right one; what came of it is removed."""
    part.unlink(missing_ok=True)
    return FetchError(f"{url} is refused: {size} bytes or more, at most {limit} expected", "check the mirror")


def finish(url: str, file: RemoteFile, part: Path, target: Path) -> None:
    """Give a whole file its name. Raises IntegrityError, and removes it, if its hash is not the recorded one."""
    with storing(target):
        digest = found(file, part)
        if digest == file.digest:
            part.replace(target)
            return
        part.unlink()
    raise IntegrityError(
        f"{url} is not the recorded file {file.path}: expected {file.digest}, found {digest}",
        "nothing was kept; try again. If it happens again, the server has a different file",
    )

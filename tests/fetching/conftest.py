"""A server on this machine instead of the repositories on the internet, and small generated files instead of theirs."""

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import unquote

import pytest

from segeval.fetching import download
from segeval.fetching.sources import SOURCES, RemoteFile, Source

REPOSITORY, COMMIT = "someone/pictures", "0123abcd"


class Handler(BaseHTTPRequestHandler):
    """Serves what `upstream` holds; the faults of a path happen first, one per request."""

    upstream: "Upstream"

    def do_GET(self) -> None:
        self.path = unquote(self.path)
        self.upstream.requests.append((self.path, self.headers.get("Range")))
        faults = self.upstream.faults.get(self.path)
        if faults:
            faults.pop(0)(self)
        else:
            self.whole()

    def whole(self, ranges: bool = True, length: bool = True, cut: int | None = None) -> None:
        """Answer properly. ranges: heed Range.   length: say how much comes.   cut: close after that many bytes."""
        body = self.upstream.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        asked = self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and ranges else 0
        if start >= len(body) > 0:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if length:
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start : None if cut is None else start + cut])

    def refuse(self, code: int, **headers: str) -> None:
        """Answer with an error."""
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def hang(self) -> None:
        """Send a beginning and then nothing more."""
        self.whole(cut=10)
        self.wfile.flush()
        self.upstream.hanging += 1
        self.upstream.released.wait(60)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


class LocalServer(ThreadingHTTPServer):
    """Takes many clients at once and does not mind those that hang up."""

    request_queue_size = 32

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet."""


Fault = Callable[[Handler], None]


@dataclass
class Upstream:
    """base: its address.   requests: (path, Range) of every request so far.   hanging: how many requests hang."""

    base: str
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    hanging: int = 0
    released: Event = field(default_factory=Event)

    def add(self, path: str, body: bytes, algorithm: str = "sha256", sized: bool = True) -> RemoteFile:
        """Hold a file."""
        self.files[f"/{REPOSITORY}/{COMMIT}/{path}"] = body
        if algorithm == "git":
            found = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
        else:
            found = hashlib.sha256(body).hexdigest()
        size = len(body) if sized else None
        return RemoteFile(f"things/{path}", REPOSITORY, COMMIT, path, f"{algorithm}:{found}", size)

    def fail(self, path: str, *faults: Fault) -> None:
        """Let the next requests for a file go wrong."""
        self.faults[f"/{REPOSITORY}/{COMMIT}/{path}"] = list(faults)

    def asked(self, path: str) -> list[str | None]:
        """Range of every request for a file."""
        return [asked for requested, asked in self.requests if requested == f"/{REPOSITORY}/{COMMIT}/{path}"]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    held = Upstream("")

    class Served(Handler):
        upstream = held

    with LocalServer(("127.0.0.1", 0), Served) as server:
        held.base = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=partial(server.serve_forever, poll_interval=0.02))
        thread.start()
        yield held
        held.released.set()
        server.shutdown()
        thread.join()


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that are nowhere alike."""
    return random.Random(seed).randbytes(size)


def variables(upstream: Upstream, cache: Path) -> dict[str, str]:
    """Those of this process, without segeval's, with the server and an empty cache."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SEGEVAL_")}
    return {**ours, "XDG_CACHE_HOME": str(cache), "SEGEVAL_FETCH_BASE": upstream.base, "no_proxy": "127.0.0.1"}


@pytest.fixture(autouse=True)
def cache(upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that everything goes to."""
    wanted = variables(upstream, tmp_path / "cache")
    for name in os.environ.keys() - wanted.keys():
        monkeypatch.delenv(name)
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(download, "PAUSES", (0.01, 0.01, 0.01))
    return tmp_path / "cache" / "segeval"


@pytest.fixture
def environment(upstream: Upstream, tmp_path: Path) -> dict[str, str]:
    """The variables for a process of its own."""
    return variables(upstream, tmp_path / "cache")


@pytest.fixture
def small(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Source:
    """30 small files of unknown size with git's ids; nothing else can be fetched."""
    files = [
        upstream.add(f"part {number // 10}/{number}.png", noise(200, number), "git", False) for number in range(30)
    ]
    return known_alone(
        Source("small", "30 small files", "Terms of the small", lambda: files, ("ls", "tasks")), monkeypatch
    )


@pytest.fixture
def single(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Source:
    """One file of known size with its sha256; nothing else can be fetched."""
    files = [upstream.add("weights.pth", noise(300_000))]
    return known_alone(Source("single", "one file", "Terms of the one", lambda: files, ("ls", "models")), monkeypatch)


def known_alone(source: Source, monkeypatch: pytest.MonkeyPatch) -> Source:
    for name in list(reversed(SOURCES)):  # they come back the other way round
        monkeypatch.delitem(SOURCES, name)
    monkeypatch.setitem(SOURCES, source.name, source)
    return source

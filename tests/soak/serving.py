"""A server on this machine for `segeval fetch`, slow enough to be interrupted, and the files that it has."""

import hashlib
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote

REMOTE = ("soak/pictures", "0123abcd")
"""Repository and commit."""
PICTURES = {f"{number}.png": random.Random(number).randbytes(3000 * (1 + number % 7)) for number in range(40)}
PIECE = 2000
PAUSE = 0.01
"""Seconds between two pieces."""


def recorded(name: str, data: bytes) -> dict[str, Any]:
    """Fields of the `RemoteFile`; every other one is of a size that nobody knows."""
    size = len(data) if len(data) % 2000 else None
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return dict(
        zip(
            ("path", "repository", "commit", "origin", "digest", "size"),
            (f"things/{name}", *REMOTE, name, digest, size),
            strict=True,
        )
    )


class Handler(BaseHTTPRequestHandler):
    """Serves the files piece by piece, from where it is asked to."""

    def do_GET(self) -> None:
        body = PICTURES.get(unquote(self.path).rpartition("/")[2])
        asked = self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if body is None or start >= len(body):
            self.send_error(404 if body is None else 416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        for at in range(start, len(body), PIECE):
            self.wfile.write(body[at : at + PIECE])
            time.sleep(PAUSE)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


class Server(ThreadingHTTPServer):
    """Takes many clients at once and does not mind those that are killed."""

    request_queue_size = 64
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet."""


@contextmanager
def serving() -> Iterator[str]:
    """The server's address while it runs."""
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()

"""The files beside a report as links inside of it, so that one file holds the numbers as well."""

import base64
import gzip
from collections.abc import Mapping
from dataclasses import dataclass

BUDGET = 420_000
"""Bytes that the embedded files of a report may take in the page."""
COMPRESSED_FROM = 8_000
"""Bytes from which a file is compressed."""
TYPES = {"csv": "text/csv", "json": "application/json", "jsonl": "application/jsonl", "gz": "application/gzip"}


@dataclass(frozen=True)
class Download:
    """A file beside the report. bytes: of it.   name: that it is saved under, with .gz if it is compressed.

    uri: a data URI; empty if it was too large to be embedded.
    """

    file: str
    bytes: int
    name: str
    uri: str

    @property
    def size(self) -> str:
        """``14 kB``."""
        return f"{self.bytes / 1e6:.1f} MB" if self.bytes >= 1e6 else f"{max(1, round(self.bytes / 1e3))} kB"


def downloads(files: Mapping[str, bytes]) -> tuple[Download, ...]:
    """The files in their order, embedded from the smallest on as long as there is room. The same bytes each time."""
    packed = {file: _packed(file, data) for file, data in files.items()}
    room = BUDGET
    embedded = set()
    for file in sorted(packed, key=lambda file: len(packed[file][1])):
        room -= len(packed[file][1])
        if room < 0:
            break
        embedded.add(file)
    return tuple(
        Download(file, len(data), packed[file][0], packed[file][1] if file in embedded else "")
        for file, data in files.items()
    )


def _packed(file: str, data: bytes) -> tuple[str, str]:
    """The name and data URI of a file."""
    if len(data) >= COMPRESSED_FROM:
        file, data = f"{file}.gz", gzip.compress(data, mtime=0)
    kind = TYPES.get(file.rpartition(".")[2], "application/octet-stream")
    return file, f"data:{kind};base64,{base64.b64encode(data).decode()}"

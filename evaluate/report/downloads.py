"""The files beside a report as links inside of it, so that one file holds the numbers as well."""

import base64
import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MAIN = (
    "survival.csv",
    "attacked.csv",
    "comparisons.csv",
    "adaptive.csv",
    "calibrations.csv",
    "attribution.csv",
    "corruptions.csv",
    "clean.csv",
    "breakdown.csv",
    "benchmark.csv",
)
"""Tables that are embedded whatever they take."""
OTHERS = ("report.json", "benchmark.json", "samples.csv", "curves.csv")
"""Embedded as far as there is room, the first ones before the others."""
SHARE = 300_000
"""Bytes of the page that are kept free for the others; what the pictures do not take is theirs as well."""
COMPRESSED_FROM = 8_000
"""Bytes from which a file is compressed."""
LINK = 160
"""Bytes that a file takes in the page even if it is not embedded: its name and size."""
TYPES = {"csv": "text/csv", "json": "application/json", "jsonl": "application/jsonl", "gz": "application/gzip"}


@dataclass(frozen=True)
class Download:
    """A file beside the report.

    Attributes:
        bytes: of it.
        name: that it is saved under, with .gz if it is compressed.
        uri: a data URI; empty if there was no room to embed it.
    """

    file: str
    bytes: int
    name: str
    uri: str

    @property
    def size(self) -> str:
        """``14 kB``."""
        return f"{self.bytes / 1e6:.1f} MB" if self.bytes >= 1e6 else f"{max(1, round(self.bytes / 1e3))} kB"


def downloads(files: Mapping[str, bytes], room: int) -> tuple[Download, ...]:
    """The files in their order, embedded as far as they fit. The same bytes each time.

    Args:
        files: of MAIN and OTHERS.
        room: bytes of the page; the main tables are embedded even if it is too small for them.
    """
    packed = {file: _packed(file, data) for file, data in files.items()}
    room -= LINK * len(files)
    embedded = set()
    for file in (*MAIN, *OTHERS):
        if file in packed and (file in MAIN or len(packed[file][1]) <= room):
            room -= len(packed[file][1])
            embedded.add(file)
    return tuple(
        Download(file, len(data), packed[file][0], packed[file][1] if file in embedded else "")
        for file, data in files.items()
    )


def kept_free(files: Mapping[str, bytes]) -> int:
    """Bytes of the page that pictures must leave to these files: the main tables, and the share of the others."""
    main = {file: data for file, data in files.items() if file in MAIN}
    others = {file: data for file, data in files.items() if file not in MAIN}
    return _embedded(downloads(main, 0)) + _embedded(downloads(others, SHARE))


def _embedded(found: Iterable[Download]) -> int:
    return sum(len(download.uri) for download in found)


def _packed(file: str, data: bytes) -> tuple[str, str]:
    """The name and data URI of a file."""
    if len(data) >= COMPRESSED_FROM:
        file, data = f"{file}.gz", gzip.compress(data, mtime=0)
    kind = TYPES.get(file.rpartition(".")[2], "application/octet-stream")
    return file, f"data:{kind};base64,{base64.b64encode(data).decode()}"

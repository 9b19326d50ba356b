"""The results of a replay, written so that a kill loses at most the two batches under way.

replay.json            the bundle, the environment, and how far each engine is
bundle.json            a copy of the bundle's manifest, so that calibration and parity travel with the results
ENGINE/results.jsonl   one line per input: key, offset, bytes, crc32, latency_ms, and stages where the engine has some;
                       with a digest of all that
ENGINE/labels.bin      the label maps, uint8 (H, W), one zlib stream after another
"""

from __future__ import annotations

import json
import os
import zlib
from contextlib import ExitStack
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Dict, List, Optional, Tuple, Type

import numpy as np

from segeval_runner.digests import is_intact, sealed
from segeval_runner.errors import OutputError, explaining
from segeval_runner.strict import loads

LEVEL = 6


def write_json(path: Path, record: Dict[str, Any]) -> None:
    """Write a JSON file with its digest; see `write_atomic`."""
    said = json.loads(json.dumps(record))  # the digest is of what will be read
    write_atomic(path, json.dumps(sealed(said), indent=2).encode("utf-8") + b"\n")


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that it is there as a whole or not at all."""
    part = path.with_name(path.name + ".part")
    with explaining(path):
        try:
            if os.path.lexists(str(part)):
                part.unlink()
            # Made anew: what already lies there could be a link that leads elsewhere.
            with part.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            if os.path.lexists(str(part)):
                part.unlink()


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write all of `data` to an unbuffered file, which may take it in pieces."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def require_plain(path: Path) -> None:
    """Raise OutputError for a link, which leads what is written to another place, and for a pipe or a device."""
    if path.is_symlink() or not (path.is_file() or path.is_dir() or not path.exists()):
        raise OutputError("{} is a symbolic link, a pipe or a device".format(path), "choose another folder with --out")


def open_to_append(path: Path) -> FileIO:
    """A file to read and extend. Unbuffered: what was written is with the operating system, whatever becomes of us."""
    require_plain(path)
    return path.open("ab+", buffering=0)


def compressed(labels: np.ndarray[Any, Any]) -> bytes:
    """Labels as one zlib stream.

    Only runs of one label are looked for: a third of the time that level 6 of zlib takes, for a quarter more bytes.
    """
    packing = zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    return packing.compress(labels.data) + packing.flush()


class Recording:
    """The results of one engine. Opening it finds what an earlier run completed; `cut` drops what it left half-done.

    done: how many inputs have a result.

    Attributes:
        keys: of the inputs, in the order in which they are run.
        batch: results are kept in whole batches, so that a resumed run puts the same images into the same batches.
    """

    def __init__(self, folder: Path, keys: List[str], batch: int) -> None:
        self.folder = folder
        with explaining(folder), ExitStack() as opened:
            require_plain(folder)
            folder.mkdir(parents=True, exist_ok=True)
            self._results = opened.enter_context(open_to_append(folder / "results.jsonl"))
            self._labels = opened.enter_context(open_to_append(folder / "labels.bin"))
            ends = self._valid(keys)
            kept = len(ends) if len(ends) == len(keys) else len(ends) - len(ends) % batch
            self._results_end, self._offset = ends[kept - 1] if kept else (0, 0)
            opened.pop_all()  # all went well: they stay open until the end of the recording
        self.done = kept
        self._is_cut = False

    def cut(self) -> None:
        """Drop what comes after the last result that is kept, as `append` does first. Raises OutputError."""
        with explaining(self.folder):
            self._results.truncate(self._results_end)
            self._labels.truncate(self._offset)
        self._is_cut = True

    def require_whole(self) -> None:
        """Raise OutputError if the files hold more or less than what was found and written here."""
        ends = [os.fstat(file.fileno()).st_size for file in (self._results, self._labels)]
        if ends != [self._results_end, self._offset]:
            what = "another process wrote into {} as well".format(self.folder)
            raise OutputError(what, "run the same command again, with no other running; complete results are kept")

    def _valid(self, keys: List[str]) -> List[Tuple[int, int]]:
        """For each leading result that is whole: where it ends in results.jsonl and in labels.bin."""
        self._results.seek(0)
        self._labels.seek(0)
        ends: List[Tuple[int, int]] = []
        line_end = offset = 0
        size = os.fstat(self._labels.fileno()).st_size
        for key, line in zip(keys, self._results.read().splitlines(keepends=True)):
            try:
                result = loads(line)
                if not 0 <= result["bytes"] <= size:
                    break
                stream = self._labels.read(result["bytes"])
                if not line.endswith(b"\n") or (result["key"], result["offset"]) != (key, offset):
                    break
                if not is_intact(result):
                    break
                if len(stream) != result["bytes"] or zlib.crc32(stream) != result["crc32"]:
                    break
            except (ValueError, KeyError, TypeError):
                break
            line_end, offset = line_end + len(line), offset + len(stream)
            ends.append((line_end, offset))
        return ends

    def append(
        self, key: str, labels: np.ndarray[Any, Any], latency_ms: float, stages: Optional[Dict[str, float]] = None
    ) -> None:
        """Keep one uint8 (H, W) label map.

        Raises OutputError.

        Args:
            key: of the image.
            labels: (H, W) class indices.
            latency_ms: of its call.
            stages: see `Backend.stages`.
        """
        if not self._is_cut:
            self.cut()
        stream = compressed(np.ascontiguousarray(labels))
        result: Dict[str, Any] = {
            "key": key,
            "offset": self._offset,
            "bytes": len(stream),
            "crc32": zlib.crc32(stream),
            "latency_ms": round(latency_ms, 4),
        }
        if stages:
            result["stages"] = {name: round(each, 4) for name, each in stages.items()}
        with explaining(self.folder):
            write_all(self._labels, stream)
            line = json.dumps(sealed(result)).encode("utf-8") + b"\n"
            write_all(self._results, line)
        self._results_end += len(line)
        self._offset += len(stream)
        self.done += 1

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        with explaining(self.folder):
            for file in (self._labels, self._results):
                os.fsync(file.fileno())
                file.close()

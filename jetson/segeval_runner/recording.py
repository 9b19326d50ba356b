"""What a replay leaves behind, written so that being killed costs at most the image in hand.

replay.json            the bundle, the environment, and how far each engine is
bundle.json            a copy of the bundle's manifest, so that calibration and parity travel with the results
ENGINE/results.jsonl   one line per input: key, offset, bytes, crc32, latency_ms, and stages where the engine has some
ENGINE/labels.bin      the label maps, uint8 (H, W), one zlib stream after another
"""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Dict, List, Optional, Tuple, Type

import numpy as np

from segeval_runner.errors import explaining

LEVEL = 6


def write_json(path: Path, record: Dict[str, Any]) -> None:
    """Write a JSON file; see `write_atomic`."""
    write_atomic(path, json.dumps(record, indent=2).encode("utf-8") + b"\n")


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that it is there as a whole or not at all."""
    part = path.with_name(path.name + ".part")
    with explaining(path):
        try:
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            if part.exists():
                part.unlink()


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write all of `data` to an unbuffered file, which may take it in pieces."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


class Recording:
    """The results of one engine. Opening it keeps what an earlier run completed and drops what it left half-done.

    keys: of the inputs, in the order in which they are run.   batch: results are kept in whole batches, so that a
    resumed run puts the same images into the same batches.
    """

    def __init__(self, folder: Path, keys: List[str], batch: int) -> None:
        self.folder = folder
        with explaining(folder):
            folder.mkdir(parents=True, exist_ok=True)
            # Unbuffered: what was written is with the operating system, whatever becomes of this process.
            self._results = (folder / "results.jsonl").open("ab+", buffering=0)
            self._labels = (folder / "labels.bin").open("ab+", buffering=0)
            ends = self._valid(keys)
            kept = len(ends) if len(ends) == len(keys) else len(ends) - len(ends) % batch
            results_end, self._offset = ends[kept - 1] if kept else (0, 0)
            self._results.truncate(results_end)
            self._labels.truncate(self._offset)
        self.done = kept

    def _valid(self, keys: List[str]) -> List[Tuple[int, int]]:
        """For each leading result that is whole: where it ends in results.jsonl and in labels.bin."""
        self._results.seek(0)
        self._labels.seek(0)
        ends: List[Tuple[int, int]] = []
        line_end = offset = 0
        for key, line in zip(keys, self._results.read().splitlines(keepends=True)):
            try:
                result = json.loads(line.decode("utf-8"))
                stream = self._labels.read(result["bytes"])
                if not line.endswith(b"\n") or (result["key"], result["offset"]) != (key, offset):
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
        """Keep one uint8 (H, W) label map. stages: see `Backend.stages`. Raises OutputError."""
        stream = zlib.compress(np.ascontiguousarray(labels).tobytes(), LEVEL)
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
            write_all(self._results, json.dumps(result).encode("utf-8") + b"\n")
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

"""A bundle on disk: its files, checked by their hashes, and its images."""

from __future__ import annotations

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, BinaryIO, Callable, Iterator, List, Optional, Tuple

import numpy as np

from segeval_runner.environment import usable_cores
from segeval_runner.errors import BundleError
from segeval_runner.fields import AGAIN, malformed, take_text
from segeval_runner.manifest import MANIFEST, MOST_BYTES, Shard, parse
from segeval_runner.ownership import lacking
from segeval_runner.strict import lines, loads, open_regular, read_regular

CHUNK = 1 << 17
"""Bytes read at once: hashing 24 MB took 19 ms of CPU time, and 26 ms by the mebibyte."""
MOST_LINE = 1 << 13
"""Bytes of a line of the index."""
HEADER = re.compile(rb"\{'descr': '\|u1', 'fortran_order': False, 'shape': \(([0-9]+), ([0-9]+), ([0-9]+), 3\), \} *\n")
"""The one header that segeval writes: no pickled objects, no other order, nothing to evaluate."""


class Bundle:
    """A bundle folder.

    Attributes:
        data: bundle.json as it is.
        sha256: of that, the bundle's identity.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            self.data = read_regular(root / MANIFEST, MOST_BYTES)
        except OSError as error:
            hint = "name the folder that holds bundle.json with --bundle"
            raise BundleError("{} is not a bundle: {}".format(root, lacking(root, MANIFEST)), hint) from error
        except ValueError as error:
            raise malformed("bundle.json cannot be read: {}".format(error)) from error
        self.sha256 = hashlib.sha256(self.data).hexdigest()
        self.manifest = parse(self.data)

    def path(self, name: str) -> Path:
        """A recorded file. Raises BundleError if it is not recorded, or reached through a symbolic link."""
        if name not in self.manifest.files:
            raise malformed("{!r} is used, but its hash is not recorded".format(name))
        path = self.root
        for part in name.split("/"):
            path = path / part
            if path.is_symlink():
                raise BundleError("{} is a symbolic link; a bundle has none".format(path), "do not use this bundle")
        return path

    @contextmanager
    def _opened(self, name: str) -> Iterator[BinaryIO]:
        """A recorded file to read. Raises BundleError if it cannot be read or, inside the block, makes no sense."""
        path = self.path(name)
        with self.reading(path), open_regular(path) as file:
            yield file

    @contextmanager
    def reading(self, path: Path) -> Iterator[None]:
        """What goes wrong with a file of the bundle inside the block, as BundleError."""
        try:
            yield
        except FileNotFoundError as error:
            raise BundleError("{} is missing".format(path), AGAIN) from error
        except (OSError, ValueError) as error:
            raise BundleError("{} cannot be read: {}".format(path, error), AGAIN) from error

    def verify(self, progress: Callable[[int, int], None]) -> None:
        """Prove that every file is the recorded one, on all cores. Raises BundleError for the first that is not.

        Args:
            progress: called with (bytes checked, bytes in all) after every file.
        """
        files = sorted(self.manifest.files.items())
        total, done, stop = sum(file.size for _, file in files), 0, Event()
        pool = ThreadPoolExecutor(usable_cores(), "prover")
        try:
            proofs = [pool.submit(self._prove, name, stop) for name, _ in files]
            for proof, (_, file) in zip(proofs, files):
                proof.result()
                done += file.size
                progress(done, total)
        finally:
            stop.set()
            pool.shutdown()

    def _prove(self, name: str, stop: Event) -> None:
        """Prove one file, unless told to stop. Raises BundleError."""
        digest, recorded = hashlib.sha256(), self.manifest.files[name]
        with self._opened(name) as file:
            size = length(file)
            if size != recorded.size:
                raise BundleError("{} has {} bytes, not {}".format(self.path(name), size, recorded.size), AGAIN)
            for chunk in iter(partial(file.read, CHUNK), b""):
                if stop.is_set():
                    return
                digest.update(chunk)
        if digest.hexdigest() != recorded.sha256:
            raise BundleError("{} was changed: its sha256 is not the recorded one".format(self.path(name)), AGAIN)

    def keys(self) -> List[str]:
        """The key of every input, in order, once their file proved to be the recorded one."""
        self._prove(self.manifest.index, Event())
        keys: List[str] = []
        with self._opened(self.manifest.index) as file:
            for line in lines(file, MOST_LINE):
                if len(keys) == self.manifest.inputs:
                    raise ValueError("it has more than {} lines".format(self.manifest.inputs))
                keys.append(take_text(loads(line), "key"))
        if len(keys) != self.manifest.inputs or len(set(keys)) != len(keys):
            path = self.path(self.manifest.index)
            raise malformed("{} does not hold {} different keys".format(path, self.manifest.inputs))
        return keys

    def image(self, index: int) -> np.ndarray[Any, Any]:
        """Input `index`, uint8 (H, W, 3). Raises BundleError."""
        image: np.ndarray[Any, Any] = np.empty((*self.manifest.size, 3), np.uint8)
        with self.inputs() as inputs:
            inputs.read(index, image)
        return image

    @contextmanager
    def inputs(self) -> Iterator[Inputs]:
        """The images, to be read one after the other."""
        inputs = Inputs(self)
        try:
            yield inputs
        finally:
            inputs.close()

    def open_shard(self, shard: Shard) -> Tuple[BinaryIO, int]:
        """The file of a shard, which the caller closes, and where its pixels begin. Raises BundleError."""
        expected = (shard.end - shard.first, *self.manifest.size, 3)
        path = self.path(shard.file)
        with self.reading(path), ExitStack() as opened:
            file = opened.enter_context(open_regular(path))
            shape, offset = shape_in(file)
            if shape != expected:
                raise ValueError("it holds uint8 {}, not uint8 {}".format(shape, expected))
            if length(file) != offset + int(np.prod(expected, dtype=np.int64)):
                raise ValueError("it does not end with its last image")
            opened.pop_all()
            return file, offset


class Inputs:
    """Reads images of a bundle. The file of the latest one stays open, and nothing is kept of it in memory."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._shard: Optional[Shard] = None
        self._file: Optional[BinaryIO] = None
        self._offset = 0

    def read(self, index: int, out: np.ndarray[Any, Any]) -> None:
        """Read input `index` into uint8 (H, W, 3) memory. Raises BundleError."""
        shard = self._shard
        if shard is None or self._file is None or not shard.first <= index < shard.end:
            self.close()
            shard = next(shard for shard in self._bundle.manifest.shards if shard.first <= index < shard.end)
            self._file, self._offset = self._bundle.open_shard(shard)
            self._shard = shard
        with self._bundle.reading(self._bundle.root / shard.file):
            self._file.seek(self._offset + (index - shard.first) * out.nbytes)
            if self._file.readinto(out) != out.nbytes:  # type: ignore[attr-defined]
                raise ValueError("it ends before its last image")

    def close(self) -> None:
        """Close the file that is open."""
        if self._file is not None:
            self._file.close()
        self._file = self._shard = None


def length(file: BinaryIO) -> int:
    """Bytes of an open file."""
    place = file.tell()
    end = file.seek(0, 2)
    file.seek(place)
    return end


def shape_in(file: BinaryIO) -> Tuple[Tuple[int, int, int, int], int]:
    """The shape that a .npy file of images states, and where its pixels begin. Raises ValueError for any other file."""
    start = file.read(10)
    if start[:8] != b"\x93NUMPY\x01\x00" or len(start) < 10:
        raise ValueError("it is not an .npy file of version 1.0")
    header = file.read(int.from_bytes(start[8:], "little"))
    found = HEADER.fullmatch(header)
    if found is None:
        raise ValueError("it holds no uint8 images in C order: {!r}".format(header[:80]))
    count, height, width = (int(number) for number in found.groups())
    return (count, height, width, 3), file.tell()

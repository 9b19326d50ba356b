"""Files on disk: atomic writes, hashes, 8-bit PNG that reads back equal, and adversarial sets.

A folder of segeval is either complete or says that it is not; nothing is ever half-written under its final name.
"""

import errno
import hashlib
import io
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from segeval.errors import DataError, FormatError, IntegrityError, StorageError
from segeval.held import make_folder, require_held
from segeval.metrics import Labels, Mask
from segeval.records import AdversarialSample, AdversarialSet, FileRecord, decode, encode_sealed
from segeval_runner.strict import lines, open_regular, read_regular

RgbImage = NDArray[np.uint8]
Margins = NDArray[np.float16]

MOST_BYTES = 64 << 20
"""Of a set's manifest, of one of its records, and of the margins of one sample."""

HEADER_BYTES = 128
"""Of a .npy file with a vector."""


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals while writing `path` into StorageError."""
    try:
        yield
    except OSError as error:
        require_held(path)  # of a folder that is gone, that is the reason
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"no space left on the disk of {path}",
                "free some space, then run the same command again, craft, train and reproduce with --resume",
            ) from error
        raise StorageError(f"cannot write {path}: {error.strerror}", "choose another folder with --out") from error


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that gets the name `path` once it is whole, or never. Makes its folder. Raises StorageError."""
    part = path.with_name(path.name + ".part")
    with explaining(path):
        make_folder(path.parent)
        try:
            part.unlink(missing_ok=True)
            # Made anew: what already lies there could be a link that leads elsewhere.
            with part.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that it is there as a whole or not at all. Makes its folder. Raises StorageError."""
    with replacing(path) as file:
        file.write(data)


def sha256(data: bytes) -> str:
    """Hex digest of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex digest of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inside(root: Path, path: str) -> Path:
    """The file `path` below `root`. Raises FormatError if it climbs out, cannot be, or meets a link, pipe or device."""
    relative = PurePosixPath(path)
    if relative.is_absolute() or ".." in relative.parts or "\\" in path or "\0" in path or not relative.parts:
        raise FormatError(f"{root}: the path {path!r} leads out of the folder", "the file was not written by segeval")
    found = root
    for part in relative.parts:
        found = found / part
        try:
            kind = stat.S_IFMT(found.lstat().st_mode)
        except FileNotFoundError:
            break  # of what is not there, nothing below is there
        except (OSError, ValueError) as error:
            raise FormatError(f"{root}: the path {path[:200]!r} cannot be: {error}") from error
        if kind not in (stat.S_IFREG, stat.S_IFDIR):
            what = f"{found} is a symbolic link, a pipe or a device; a folder of segeval has none"
            raise FormatError(what, "copy the folder without links, or do not use it")
    return root.joinpath(*relative.parts)


def read_file(path: Path, most: int) -> bytes:
    """A plain file of at most `most` bytes. Raises FormatError for any other, OSError if it cannot be read."""
    try:
        return read_regular(path, most)
    except ValueError as error:
        raise FormatError(f"{path} cannot be read: {error}") from error


def read_lines(path: Path, most: int) -> Iterator[bytes]:
    """The lines of a plain file. Raises FormatError for one of more than `most` bytes, OSError if it cannot be read."""
    try:
        with open_regular(path) as file:
            yield from lines(file, most)
    except ValueError as error:
        raise FormatError(f"{path} cannot be read: {error}") from error


@contextmanager
def opening(path: Path) -> Iterator[Image.Image]:
    """A PNG or JPEG file, pixels not decoded yet. Raises DataError if it is missing, truncated or of another format."""
    try:
        # Named formats only: Pillow would hand a disguised EPS file to Ghostscript.
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            yield image
    except FileNotFoundError as error:
        require_held(path)
        raise DataError(f"{path} is missing") from error
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}", "the file is truncated or no PNG or JPEG image") from error


def read_png(path: Path, mode: str) -> NDArray[np.uint8]:
    """An 8-bit image. mode: "RGB" gives (H, W, 3), "L" the stored grey or palette values as (H, W).

    Raises DataError if the file is missing, truncated or of another kind.
    """
    with opening(path) as image:
        if mode == "L" and image.mode not in ("L", "P", "1"):
            raise DataError(f"{path}: a label file must be 8-bit grey or palette PNG, this one is {image.mode}")
        if mode == "RGB" and image.mode not in ("RGB", "RGBA", "P", "L"):
            raise DataError(f"{path}: an image must be 8-bit, this one is {image.mode}")
        return np.array(image if mode == "L" and image.mode in ("L", "P") else image.convert(mode), np.uint8)


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """PNG of an (H, W, 3) or (H, W) uint8 array."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def save_png(root: Path, path: str, pixels: NDArray[np.uint8]) -> FileRecord:
    """Save a PNG below `root` and prove that it reads back bit-equal. Raises StorageError, IntegrityError."""
    data = png_bytes(pixels)
    target = inside(root, path)
    write_atomic(target, data)
    if not np.array_equal(read_png(target, "RGB" if pixels.ndim == 3 else "L"), pixels):
        raise IntegrityError(f"{target} does not read back as it was written")
    return FileRecord(path, sha256(data))


def load_png(root: Path, record: FileRecord, mode: str) -> NDArray[np.uint8]:
    """A recorded PNG. Raises IntegrityError if its bytes are not the recorded ones, DataError if unreadable."""
    path = inside(root, record.path)
    pixels = read_png(path, mode)
    if sha256_file(path) != record.sha256:
        raise IntegrityError(f"{path} is not the file that was recorded", "craft the set again, or restore the file")
    return pixels


def require_recorded(root: Path, record: FileRecord) -> None:
    """Raise IntegrityError unless a file below `root` is the recorded one, DataError if it is missing."""
    path = inside(root, record.path)
    if not path.is_file():
        raise DataError(f"{path} is missing", "restore it, or craft the set again into a new folder")
    if sha256_file(path) != record.sha256:
        hint = "restore the file, or craft the set again into a new folder"
        raise IntegrityError(f"{path} is not the file that was recorded", hint)


def save_npy(root: Path, path: str, array: NDArray[np.floating]) -> FileRecord:
    """Save an array as .npy below `root`. Raises StorageError."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_atomic(inside(root, path), buffer.getvalue())
    return FileRecord(path, sha256(buffer.getvalue()))


def half_header(count: int) -> bytes:
    """What `save_npy` writes before the numbers of a float16 vector: HEADER_BYTES, whatever the count."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f2", "fortran_order": False, "shape": (count,)})
    return buffer.getvalue()


def half_vector(data: bytes) -> NDArray[np.float16]:
    """The numbers in a .npy file, as `save_npy` writes a float16 vector. Raises ValueError for any other file."""
    count, left = divmod(len(data) - HEADER_BYTES, 2)
    # Compared, not parsed: NumPy's parser of headers is Python's own, which hostile ones bring down in many ways.
    if count < 0 or left or not data.startswith(half_header(count)):
        raise ValueError(f"its {len(data)} bytes are no float16 vector as segeval writes it: {data[:80]!r}")
    found = np.frombuffer(data, np.float16, offset=HEADER_BYTES)
    if not np.isfinite(found).all():
        raise ValueError("a number in it is not finite")
    return found


class SetFolder:
    """An adversarial set on disk: ``set.json``, ``samples.jsonl``, PNG files and margins."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def manifest_path(self) -> Path:
        """Where the manifest lies."""
        return self.root / "set.json"

    @property
    def samples_path(self) -> Path:
        """Where the records lie, one per line."""
        return self.root / "samples.jsonl"

    def manifest(self) -> AdversarialSet:
        """Read set.json. Raises DataError if this is no set, FormatError if it is malformed."""
        try:
            data = read_file(self.manifest_path, MOST_BYTES)
        except OSError as error:
            raise DataError(
                f"{self.root} is not an adversarial set: no readable set.json", "make one with segeval craft"
            ) from error
        return decode(data, AdversarialSet, str(self.manifest_path))

    def complete_manifest(self) -> AdversarialSet:
        """The manifest of a finished, untouched set. Raises DataError if unfinished, IntegrityError if changed."""
        manifest = self.manifest()
        if not manifest.complete:
            raise DataError(
                f"{self.root} is not complete", "finish it with the same segeval craft command and --resume"
            )
        if not self.samples_path.is_file() or sha256_file(self.samples_path) != manifest.samples_sha256:
            raise IntegrityError(
                f"{self.samples_path} was changed after the set was made", "restore the file, or craft the set again"
            )
        return manifest

    def write_manifest(self, manifest: AdversarialSet) -> None:
        """Replace the manifest as a whole."""
        write_atomic(self.manifest_path, encode_sealed(manifest, indent=2) + b"\n")

    def samples(self) -> Iterator[AdversarialSample]:
        """The samples in order, one at a time."""
        for number, line in enumerate(read_lines(self.samples_path, MOST_BYTES), start=1):
            yield decode(line, AdversarialSample, f"{self.samples_path}:{number}")

    def append(self, samples: Iterable[AdversarialSample]) -> None:
        """Add samples durably, all with one write."""
        require_held(self.samples_path)
        with explaining(self.samples_path), self.samples_path.open("ab") as file:
            file.write(b"".join(encode_sealed(sample) + b"\n" for sample in samples))
            file.flush()
            os.fsync(file.fileno())

    def image(self, record: FileRecord) -> RgbImage:
        """(H, W, 3) RGB."""
        return load_png(self.root, record, "RGB")

    def labels(self, record: FileRecord) -> Labels:
        """(H, W) label map."""
        return load_png(self.root, record, "L")

    def mask(self, record: FileRecord) -> Mask:
        """(H, W) boolean mask."""
        return load_png(self.root, record, "L") > 0

    def margins(self, record: FileRecord) -> Margins:
        """Margins over the pixels of φ, row by row: adversarial minus largest other logit, on the adversarial image.

        Raises DataError if the file is missing, IntegrityError if it is not the recorded one, FormatError if it holds
        anything but one vector of finite float16 numbers.
        """
        path = inside(self.root, record.path)
        try:
            data = read_file(path, MOST_BYTES)
        except OSError as error:
            raise DataError(f"{path} is missing", "restore it, or craft the set again") from error
        if sha256(data) != record.sha256:
            raise IntegrityError(
                f"{path} is not the file that was recorded", "craft the set again, or restore the file"
            )
        try:
            return half_vector(data)
        except ValueError as error:
            raise FormatError(f"{path}: {error}", "the file was not written by segeval craft") from error

"""The folder of an adversarial set."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from segeval.errors import DataError, FormatError, IntegrityError, counted
from segeval.files.encoding import decode, encode_sealed
from segeval.files.held import require_held
from segeval.files.images import RgbImage, load_png
from segeval.files.npy import Margins, half_vector
from segeval.files.sets import AdversarialSample, AdversarialSet, FileRecord
from segeval.files.storage import (
    MOST_BYTES,
    explaining,
    inside,
    read_file,
    read_lines,
    sha256,
    sha256_file,
    write_atomic,
)
from segeval.metrics import Labels, Mask
from segeval_runner.ownership import lacking


class SetFolder:
    """An adversarial set on disk: ``set.json``, ``samples.jsonl``, PNG files and margins."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def manifest_path(self) -> Path:
        """The path of the manifest."""
        return self.root / "set.json"

    @property
    def samples_path(self) -> Path:
        """The path of the records, one per line."""
        return self.root / "samples.jsonl"

    def manifest(self) -> AdversarialSet:
        """Read set.json. Raises DataError if this is no set, FormatError if it is malformed."""
        try:
            data = read_file(self.manifest_path, MOST_BYTES)
        except OSError as error:
            raise DataError(
                f"{self.root} is not an adversarial set: {lacking(self.root, 'set.json')}",
                "make one with segeval craft",
            ) from error
        return decode(data, AdversarialSet, str(self.manifest_path))

    def complete_manifest(self) -> AdversarialSet:
        """The manifest of a finished, untouched set. Raises DataError if unfinished, IntegrityError if changed."""
        manifest = self.manifest()
        if not manifest.complete:
            there = self.samples_path.read_bytes().count(b"\n") if self.samples_path.is_file() else 0
            what = f"{self.root} is an unfinished adversarial set with {counted(there, 'adversarial image')} so far"
            raise DataError(what, "finish it with the same segeval craft command and --resume")
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

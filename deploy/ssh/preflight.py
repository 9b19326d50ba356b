"""Checks before anything is sent: Python with numpy, a writable folder, enough space, and an engine."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from segeval.errors import RemoteError
from segeval.files.bundles import BundledFile, BundleFolder, BundleManifest
from segeval.files.storage import sha256_file

from ..run_runner import RUNNER, require_own
from .connection import Connection
from .place import BUNDLE, DIGITS, Place, require_plain

PIXELS_PER_BYTE = 8
"""A compressed label map takes less than a byte for so many pixels, packed and unpacked together: those of street
scenes, a tenth of that."""
SPARE = 16 << 20
"""Bytes for records, logs and rounding."""

MIB = 1 << 20
CPU_BACKEND = "onnxruntime"


class Answer(msgspec.Struct, frozen=True):
    """See `segeval_runner.probe.probe`."""

    base: str
    python: str
    numpy: str | None
    rsync: bool
    refused: str | None
    free: int
    here: dict[str, str]


class Engine(msgspec.Struct, frozen=True):
    """See `segeval_runner.probe.engine`."""

    version: str = ""
    error: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Shipment:
    """A bundle here. files: with bundle.json itself."""

    root: Path
    manifest: BundleManifest
    sha256: str
    files: dict[str, BundledFile]

    def request(self, base: str) -> dict[str, object]:
        """What the device is asked about it."""
        files = {name: {"sha256": file.sha256, "bytes": file.bytes} for name, file in self.files.items()}
        return {"base": base, "bundle": f"{self.sha256[:DIGITS]}/{BUNDLE}", "files": files}

    def missing(self, here: dict[str, str]) -> dict[str, int]:
        """Size of each file that is not there as it should be.

        Args:
            here: hashes of those that are there.
        """
        return {name: file.bytes for name, file in self.files.items() if here.get(name) != file.sha256}

    def runs(self) -> int:
        """How many label maps all engines make."""
        return sum(len(engine.indices()) for engine in self.manifest.engines)

    def expected_results(self) -> int:
        """Bytes to keep free for results, and for the file they are packed into."""
        inputs = self.manifest.inputs
        return self.runs() * inputs.height * inputs.width // PIXELS_PER_BYTE + SPARE


def prepare(bundle: Path) -> Shipment:
    """A bundle to send, once every file proved to be the recorded one, and the runner to be this segeval's.

    Raises DataError, FormatError, IntegrityError.
    """
    folder = BundleFolder(bundle)
    manifest = folder.verify()
    hint = "deploy again, or copy the bundle there and run it by hand, if you trust who made it"
    require_own(bundle / RUNNER, manifest.files[RUNNER].sha256 if RUNNER in manifest.files else "", "there", hint)
    size = folder.manifest_path.stat().st_size
    record = BundledFile(sha256_file(folder.manifest_path), size)
    return Shipment(bundle, manifest, record.sha256, {"bundle.json": record, **manifest.files})


def ask(connection: Connection, shipment: Shipment, base: str) -> Answer:
    """What the device has. Raises RemoteError."""
    try:
        return msgspec.convert(connection.call("probe", "probe", shipment.request(base)), Answer)
    except msgspec.ValidationError as error:
        raise connection.error(f"its answer is malformed: {error}") from error


def preflight(connection: Connection, shipment: Shipment, base: str) -> Answer:
    """Raises RemoteError for what would make the replay fail later.

    Args:
        connection: to the device.
        shipment: the bundle that is sent.
        base: as the user names it.
    """
    found = ask(connection, shipment, base)
    require_plain(found.base, "--remote-dir")
    if found.refused is not None:
        hint = "name another folder with --remote-dir, or let your user write there"
        raise connection.error(f"cannot write to {found.base}: {found.refused}", hint)
    if found.numpy is None:
        hint = "install it there (apt-get install python3-numpy), or name another Python with --remote-python"
        raise connection.error(f"{connection.python} has no numpy that works", hint)
    to_send = sum(shipment.missing(found.here).values())
    needed = to_send + shipment.expected_results()
    if needed > found.free:
        raise no_space(connection, found, needed, to_send)
    return found


def no_space(connection: Connection, found: Answer, needed: int, to_send: int) -> RemoteError:
    """The error for a disk that is too small."""
    free, wanted, bundle = found.free // MIB, -(-needed // MIB), -(-to_send // MIB)
    what = f"{found.base} has {free} MiB free; {wanted} MiB are needed, {bundle} of them for the bundle"
    return connection.error(what, "free some space there, or name a folder on another disk with --remote-dir")


def require_engine(connection: Connection, shipment: Shipment, place: Place, backend: str) -> None:
    """Raise RemoteError unless the runner is there as it is here, and its engine works.

    Args:
        connection: to the device.
        shipment: the bundle that is sent.
        place: where it lies on the device.
        backend: empty for the one that the bundle is made for.
    """
    made_for = shipment.manifest.run.backend
    request = {"runner": place.runner, "sha256": shipment.files[RUNNER].sha256, "backend": backend or made_for}
    try:
        found = msgspec.convert(connection.call("probe", "engine", request), Engine)
    except msgspec.ValidationError as error:
        raise connection.error(f"its answer is malformed: {error}") from error
    if found.error:
        other = "" if backend or made_for == CPU_BACKEND else f"; or run it on the CPU with --backend {CPU_BACKEND}"
        raise connection.error(found.error, found.hint + other)

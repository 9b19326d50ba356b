"""Fetches results from a device: packed there, copied in one resumable file, checked by its hash and unpacked."""

import time
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from segeval.errors import FormatError, IntegrityError
from segeval.files.replays import Replay
from segeval.files.storage import explaining, sha256_file
from segeval.progress import Progress

from .connection import Connection
from .detached import decoded
from .place import Place
from .preflight import Shipment
from .refusals import ConnectionLostError
from .unpack import unpack

CHUNK = 1 << 18
STAGE = "fetch"
SLACK = 256 << 20
"""Bytes that results may have besides label maps: records, telemetry."""
LINE_BYTES = 1 << 10


class Packed(msgspec.Struct, frozen=True):
    """What `runner.pyz pack` answers."""

    file: str
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    bytes: Annotated[int, Meta(ge=0)]


def fetch(connection: Connection, place: Place, shipment: Shipment, out: Path, progress: Progress) -> Replay:
    """The replay in `out`, as it is on the device.

    Raises RemoteError, IntegrityError, FormatError, StorageError.

    Args:
        connection: to the device.
        place: where it lies on the device.
        shipment: the bundle that is sent.
        out: the folder to write to.
        progress: called with bytes.
    """
    words = [connection.python, place.runner, "pack", place.replay, "--to", place.results, "--progress", "json"]
    packed = decoded(connection, connection.run(words), Packed)
    most = most_bytes(shipment)
    if packed.bytes > most:
        what = f"{connection.destination.text} offers {packed.bytes} bytes of results"
        raise FormatError(what, f"this bundle cannot have more than {most}; nothing was copied")
    part = out / f"results-{packed.sha256[:16]}.tar.part"
    download(connection, place.results, packed, part, progress)
    if sha256_file(part) != packed.sha256:
        part.unlink()
        raise IntegrityError(f"{connection.destination.text}: the results were damaged during the copy", "run it again")
    unpack(part, out, most)
    part.unlink()
    replay = Replay.open(out)
    if replay.record.bundle_sha256 != shipment.sha256:
        raise IntegrityError(f"{out} is the replay of another bundle", "choose another folder with --out")
    return replay


def most_bytes(shipment: Shipment) -> int:
    """More bytes than any results of a bundle have: label maps that do not compress at all, and the rest."""
    inputs = shipment.manifest.inputs
    return shipment.runs() * (inputs.height * inputs.width * 9 // 8 + LINE_BYTES) + SLACK


def download(connection: Connection, remote: str, packed: Packed, part: Path, progress: Progress) -> None:
    """Bring `part` to its full length from where it ends. Raises RemoteError, StorageError."""
    answered, attempt = time.monotonic(), 0
    with explaining(part), part.open("ab") as file:
        if file.tell() > packed.bytes:
            file.truncate(0)
        progress(STAGE, file.tell(), packed.bytes)
        while file.tell() < packed.bytes:
            before = file.tell()
            try:
                with connection.process(["tail", "-c", f"+{before + 1}", remote]) as process:
                    assert process.stdout is not None
                    # No more than was announced, whatever comes.
                    while chunk := process.stdout.read(min(CHUNK, packed.bytes - file.tell())):
                        file.write(chunk)
                        progress(STAGE, file.tell(), packed.bytes)
            except ConnectionLostError as lost:
                if file.tell() > before:
                    answered, attempt = time.monotonic(), 0
                connection.persist(lost, answered, attempt)
                attempt += 1
            else:
                if file.tell() == before:
                    raise connection.error(f"{remote} is shorter than it was", "run the same command again")

"""Sends files of a bundle to a device: with rsync, which resumes within a file, else as one tar stream."""

import re
import shlex
import shutil
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from .connection import Connection

Tick = Callable[[int], None]
"""Called with the bytes that were sent so far."""

CHUNK = 1 << 20
TAR_BLOCK = 512
# What rsync --progress writes while a file is under way:      32,768 100%   31.25MB/s    0:00:00
UNDER_WAY = re.compile(rb"\s*([\d.,]+)\s+\d+%\s")


def push(
    connection: Connection, root: Path, files: Mapping[str, int], target: str, rsync: bool, progress: Tick
) -> None:
    """Send files below `root` into the folder `target`.

    Raises RemoteError.

    Args:
        connection: to the device.
        root: the folder here.
        files: sizes by path.
        target: the folder there.
        rsync: whether the device has it.
        progress: called with bytes.
    """
    if files and rsync and shutil.which("rsync"):
        with_rsync(connection, root, files, target, progress)
    elif files:
        with_tar(connection, root, files, target, progress)


def with_rsync(connection: Connection, root: Path, files: Mapping[str, int], target: str, progress: Tick) -> None:
    """Checksums, since a file that is there was found to be wrong whatever its time says; partial files are kept."""
    command = ["rsync", "-a", "--no-owner", "--no-group", "--checksum", "--partial", "--progress", "--from0"]
    command += ["--files-from=-", f"--rsh={shlex.join(connection.ssh())}"]
    command += ["--", f"{root.resolve()}/", f"{connection.destination.for_rsync}:{target}/"]
    total, done, current = sum(files.values()), 0, 0
    with connection.process(command, here=True) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("\0".join(files).encode())
        process.stdin.close()
        for line in iter(lambda: read_until_return(process.stdout), b""):
            match = UNDER_WAY.match(line)
            if match is not None:
                progress(min(done + int(re.sub(rb"\D", b"", match[1])), total))
                continue
            name = line.decode("utf-8", "replace").strip()
            if name in files:
                done, current = done + current, files[name]
    progress(total)


def read_until_return(stream: IO[bytes] | None) -> bytes:
    """A line that ends with a line feed or, as those of progress do, a carriage return; empty at the end."""
    assert stream is not None
    line = b""
    while not line.endswith((b"\n", b"\r")):
        byte = stream.read(1)
        if not byte:
            break
        line += byte
    return line


def with_tar(connection: Connection, root: Path, files: Mapping[str, int], target: str, progress: Tick) -> None:
    """For a device without rsync. What arrived whole is kept if the connection breaks."""
    done = 0
    with connection.process(["tar", "-xf", "-", "-C", target]) as process:
        assert process.stdin is not None
        for name, size in files.items():
            path = root / name
            header = tarfile.TarInfo(name)
            header.size, header.mode, header.mtime = size, path.stat().st_mode & 0o777, int(path.stat().st_mtime)
            process.stdin.write(header.tobuf(tarfile.PAX_FORMAT))
            with path.open("rb") as file:
                for chunk in iter(lambda file=file: file.read(CHUNK), b""):  # type: ignore[misc]
                    process.stdin.write(chunk)
                    done += len(chunk)
                    progress(done)
            process.stdin.write(bytes(-size % TAR_BLOCK))
        process.stdin.write(bytes(2 * TAR_BLOCK))
        process.stdin.close()

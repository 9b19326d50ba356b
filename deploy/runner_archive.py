"""The files of a bundle that run on the device: the runner as one archive, and a script that starts it."""

import io
import zipfile
from pathlib import Path

import segeval_runner

SHEBANG = b"#!/usr/bin/env python3\n"
MAIN = "import sys\n\nfrom segeval_runner.cli import main\n\nsys.exit(main())\n"
# The earliest time a zip file can hold: the archive must not depend on when it was made.
TIMESTAMP = (1980, 1, 1, 0, 0, 0)

RUN_SCRIPT = """\
#!/bin/sh
# Replays this bundle on this machine: ./run.sh [OUT] [more options of runner.pyz replay]
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
out=${1:-replay}
[ $# -eq 0 ] || shift
exec "${PYTHON:-python3}" "$here/runner.pyz" replay --bundle "$here" --out "$out" "$@"
"""


def runner_archive() -> bytes:
    """The installed segeval_runner as an executable Python archive; the same sources give the same bytes.

    The standard library's zipapp would store the time of each file; nothing is compressed, since zlib's output
    depends on its version.
    """
    root = Path(segeval_runner.__file__).parent
    sources = {f"{root.name}/{path.relative_to(root).as_posix()}": path.read_bytes() for path in root.rglob("*.py")}
    sources["__main__.py"] = MAIN.encode()
    buffer = io.BytesIO(SHEBANG)
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        for name in sorted(sources):
            entry = zipfile.ZipInfo(name, TIMESTAMP)
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, sources[name])
    return buffer.getvalue()

"""The power mode of a Jetson (nvpmodel), such as "MAXN (0)"."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Optional

from segeval_runner.telemetry.sysfs import text

SECONDS = 5.0
"""How long nvpmodel may take to answer."""


def power_mode(root: Path, command: Optional[str]) -> Optional[str]:
    """The mode as the files say, else as the command does.

    Args:
        root: of the file system.
        command: where nvpmodel is, None without it.
    """
    return mode_from_files(root) or (mode_from_command(command) if command else None)


def mode_from_files(root: Path) -> Optional[str]:
    """What nvpmodel keeps: the number in its status file, the name in its configuration."""
    status = re.search(r"pmode:\s*(\d+)", text(root / "var/lib/nvpmodel/status") or "")
    if status is None:
        return None
    number = int(status.group(1))
    modes = re.findall(r"POWER_MODEL\s+ID=(\d+)\s+NAME=([^\s>]+)", text(root / "etc/nvpmodel.conf") or "")
    names = {int(identity): name for identity, name in modes}
    return "{} ({})".format(names[number], number) if number in names else "mode {}".format(number)


def mode_from_command(command: str) -> Optional[str]:
    """What `nvpmodel -q` says. It may need root and then says nothing."""
    try:
        ended = subprocess.run([command, "-q"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=SECONDS)
    except (OSError, subprocess.SubprocessError):
        return None
    said = ended.stdout.decode("utf-8", "replace")
    name = re.search(r"NV Power Mode:\s*(\S+)", said)
    if ended.returncode != 0 or name is None:
        return None
    number = re.search(r"^\s*(\d+)\s*$", said, re.MULTILINE)
    return "{} ({})".format(name.group(1), number.group(1)) if number else name.group(1)

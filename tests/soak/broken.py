"""A command that writes ten files, right or in one of the wrong ways that a soak must notice: MODE OUT.

right: each as a whole, ends with 130.   half: a file in two writes under its own name, kept when it is continued.
code: ends with another exit code.   traceback: shows one.   litter: leaves its unfinished file.
child: leaves a process running.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

FILES = 10
PAUSE = 0.05


def ended(number: int, frame: object) -> NoReturn:
    """End as the mode says."""
    for caught in CAUGHT:
        signal.signal(caught, signal.SIG_IGN)
    if mode == "traceback":
        print("Traceback (most recent call last):", flush=True)
    os._exit(7 if mode == "code" else 130)


def write(path: Path) -> None:
    """One file."""
    if path.exists():
        return
    target = path if mode == "half" else path.with_name(f"{path.name}.part" + (str(os.getpid()) * (mode == "litter")))
    with target.open("w") as file:
        file.write("first half, ")
        file.flush()
        time.sleep(PAUSE)
        file.write("second half\n")
    target.replace(path)


CAUGHT = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)
"""SIGTERM last: where it is caught, the others are."""
mode, out = sys.argv[1], Path(sys.argv[2])
for each in CAUGHT:
    signal.signal(each, ended)
if mode == "child":
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
out.mkdir(exist_ok=True)
for name in range(FILES):
    write(out / f"{name}.txt")

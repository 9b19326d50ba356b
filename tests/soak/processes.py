"""Processes of a soak: started with a mark in their environment, by which all that came of them is found again."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MARK = "SOAK_MARK"
KILL, TERM, INT, HUP = signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP
PATIENCE = 90.0
"""Seconds that a process may take to end after a signal."""
GRACE = 30.0
"""Seconds after which a process that outlives its parent counts as left behind."""
LOADED = re.compile(r"libtorch|_imaging\.|_ssl\.")
"""A library that a command loads, and nothing before it."""


@dataclass(frozen=True)
class Strike:
    """Signals that a run gets one after the other, most often one. moment: share of the undisturbed run's duration.

    gaps: seconds before each.   group: to the process group, not the process alone.   at_once: the run is continued
    without a look at what is still running.
    """

    moment: float
    signals: tuple[signal.Signals, ...]
    gaps: tuple[float, ...]
    group: bool
    at_once: bool

    def __str__(self) -> str:
        names = "+".join(each.name.removeprefix("SIG") for each in self.signals)
        return f"{names} to the {'group' if self.group else 'process'} at {self.moment:.3f}"


@dataclass(frozen=True)
class Ended:
    """How a run ended. sent: signals that reached it.   loaded: of each, whether the command was at work already."""

    code: int
    said: str
    sent: tuple[signal.Signals, ...]
    loaded: tuple[bool, ...]
    seconds: float


def heed_signals() -> None:
    """What a shell or nohup lets its background jobs ignore, they pass on to what they start."""
    signal.signal(INT, signal.default_int_handler)
    signal.signal(HUP, signal.SIG_DFL)


class Running:
    """A command in a session and process group of its own, with its output in a file."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], mark: str, log: Path) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("SEGEVAL_", "PYTHON"))}
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-P", *words],
                env={**clean, "OMP_NUM_THREADS": "1", **environment, MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started = time.monotonic()

    def struck(self, strike: Strike | None, duration: float) -> Ended:
        """Wait until it ends; send what is to be sent, if it still runs then."""
        sent: list[signal.Signals] = []
        loaded: list[bool] = []
        if strike is not None and self.waited(strike.moment * duration) is None:
            for number, gap in zip(strike.signals, strike.gaps, strict=True):
                if self.waited(gap) is not None:
                    break
                loaded.append(at_work(self.process.pid))
                sent.append(number)
                self.send(number, strike.group)
        code = self.waited(PATIENCE)
        if code is None:
            self.process.kill()
            self.process.wait()
            code = 999
        seconds = time.monotonic() - self.started
        said = self.log.read_text(encoding="utf-8", errors="replace")
        return Ended(code, said, tuple(sent), tuple(loaded), seconds)

    def waited(self, seconds: float) -> int | None:
        """The exit code, None if it still runs after so many seconds."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def send(self, number: signal.Signals, group: bool) -> None:
        """Send a signal."""
        if group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)


def at_work(pid: int) -> bool:
    """Whether a process has begun with its command: before, Python and segeval are loaded, and nothing is caught."""
    try:
        status, maps = Path(f"/proc/{pid}/status").read_text(), Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return False
    caught = int(re.findall(r"SigCgt:\s*([0-9a-f]+)", status)[0], 16)
    return bool(caught >> (TERM - 1) & 1) or LOADED.search(maps) is not None


def survivors(mark: str) -> dict[int, str]:
    """Command lines of the processes with this mark, by their id."""
    wanted, found = f"{MARK}={mark}".encode(), {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
    return found


def left_running(mark: str) -> list[str]:
    """What still runs after the time of grace; it is ended then, and gone when this returns."""
    deadline = time.monotonic() + GRACE
    while (left := survivors(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in left:
        try:
            os.kill(pid, KILL)
        except ProcessLookupError:
            continue
    while survivors(mark):  # the system takes a moment
        time.sleep(0.05)
    return sorted(left.values())

"""A run that outlives the connection that started it: start, follow, stop.

FOLDER/run.json   which run this is: {"run": its id, "words": what runs, "group": its process group, "digest": of these}
FOLDER/log        what it says, and at its end {"exit": code}
FOLDER/running    locked as long as it runs: no number of a process that could be another one's by now
FOLDER/starting   locked while one is started, or looked at
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Callable, Dict, Iterator, Sequence

from segeval_runner.digests import CHANGED, is_intact
from segeval_runner.errors import OutputError, explaining
from segeval_runner.exclusive import require_own
from segeval_runner.recording import write_json

FILE = "run.json"
BEGINNING = (FILE, "log", "running", "starting")
"""What start makes, and may leave behind in part when it is killed."""
POLL = 0.2
HEARTBEAT = 5.0
PATIENCE = 15.0
"""Seconds that a run gets to stop by itself."""

# The shell outlives its child: it tells of a runner that was killed, too.
AND_SAY_HOW_IT_ENDED = 'trap : INT TERM HUP; "$@"; echo "{\\"exit\\": $?}"'

Say = Callable[[Dict[str, Any]], None]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock; waits for it."""
    import fcntl

    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def lock_at_once(file: BinaryIO) -> bool:
    """Lock a file unless somebody else holds the lock; whoever inherits the open file holds it too."""
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def start(folder: Path, words: Sequence[str]) -> Dict[str, Any]:
    """Start `runner.pyz WORDS…` detached, unless one runs in this folder already. Returns run.json and "started".

    Raises OutputError.
    """
    require_own(folder, "run", BEGINNING)
    with explaining(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / "starting"), (folder / "running").open("ab") as running:
            if not lock_at_once(running):
                return {**read_state(folder), "started": False}
            with (folder / "log").open("wb") as log:
                command = ["/bin/sh", "-c", AND_SAY_HOW_IT_ENDED, "sh", sys.executable, sys.argv[0], *words]
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=[running.fileno()],
                )
            state = {"run": secrets.token_hex(8), "words": list(words), "group": process.pid}
            try:
                write_json(folder / FILE, state)
            except OutputError:
                os.killpg(process.pid, signal.SIGKILL)
                raise
            return {**state, "started": True}


def read_state(folder: Path) -> Dict[str, Any]:
    """run.json. Raises OutputError if there is none."""
    try:
        state: Dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if not is_intact(state):
            raise OutputError("{} {}".format(folder / FILE, CHANGED), "end its processes by hand and remove it")
        return {"run": str(state["run"]), "words": list(state["words"]), "group": int(state["group"])}
    except (OSError, ValueError, KeyError, TypeError):
        raise OutputError("no run was started in {}".format(folder), "start one with runner.pyz start") from None


def is_running(folder: Path) -> bool:
    """Whether the run of this folder is still going."""
    if not (folder / "running").is_file():
        return False
    with locked(folder / "starting"), (folder / "running").open("ab") as running:
        return not lock_at_once(running)


def follow(folder: Path, run: str, offset: int, say: Say) -> None:
    """Say what a run writes into its log from `offset` on, until it has ended.

    Every message has "at", the offset to go on from; then a "line", or "ended" with the bytes that are free, or
    nothing else, as a sign of life. Raises OutputError if there is another run by now.
    """
    with explaining(folder), (folder / "log").open("rb") as log:
        log.seek(offset)
        said = time.monotonic()
        while True:
            if read_state(folder)["run"] != run:
                hint = "run the same command again to see it"
                raise OutputError("another run was started in {}".format(folder), hint)
            ended = not is_running(folder)  # asked before reading: nothing is written after the end
            for line in iter(log.readline, b""):
                if not line.endswith(b"\n") and not ended:
                    log.seek(offset)
                    break
                offset += len(line)
                said = time.monotonic()
                say({"at": offset, "line": line.decode("utf-8", "replace")})
            if ended:
                say({"at": offset, "ended": True, "free": shutil.disk_usage(folder).free})
                return
            if time.monotonic() - said > HEARTBEAT:
                said = time.monotonic()
                say({"at": offset})
            time.sleep(POLL)


def stop(folder: Path, word: str = "") -> bool:
    """End a run as Ctrl-C would, or, if it does not heed that, by force; what it has done is kept.

    Args:
        folder: of the run.
        word: spare a run whose command does not have it.

    Returns:
        Whether there was one to stop.

    Raises:
        OutputError: if it runs on.
    """
    if not is_running(folder):
        return False
    state = read_state(folder)
    if word and word not in state["words"]:
        return False
    group = state["group"]
    for number in (signal.SIGINT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(group, number)
            os.killpg(group, signal.SIGCONT)  # one that is held heeds nothing else
        asked = time.monotonic()
        while time.monotonic() - asked < PATIENCE:
            if not is_running(folder):
                return True
            time.sleep(POLL)
    raise OutputError("the run in {} does not stop".format(folder), "end its process group {} by hand".format(group))


COMMANDS = ("start", "follow", "stop")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them to the command line."""
    begin = commands.add_parser("start", help="run a command of this archive detached, or find the one that runs")
    watch = commands.add_parser("follow", help="follow the output of a detached run until it ends, as JSON")
    end = commands.add_parser("stop", help="stop a detached run; what it has done is kept")
    for command in (begin, watch, end):
        command.add_argument("--folder", type=Path, required=True, help="folder of its log; one run at a time in each")
        command.set_defaults(progress="json")
    begin.add_argument("--follow", action="store_true", help="then show its output, as follow does")
    begin.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND...", help="such as: replay --out results")
    watch.add_argument("--run", required=True, help="id printed by start")
    end.add_argument("--word", default="", help="only a run with this word in its command")
    watch.add_argument("--offset", type=int, default=0, help="offset in the log to continue from")


def perform(arguments: argparse.Namespace) -> None:
    """Carry out start, follow or stop. Answers are JSON, one object per line."""

    def say(message: Dict[str, Any]) -> None:
        print(json.dumps(message), flush=True)

    if arguments.command == "start":
        state = start(arguments.folder.resolve(), arguments.words)
        say(state)
        if arguments.follow:
            follow(arguments.folder, state["run"], 0, say)
    elif arguments.command == "follow":
        follow(arguments.folder, arguments.run, arguments.offset, say)
    else:
        say({"stopped": stop(arguments.folder, arguments.word)})

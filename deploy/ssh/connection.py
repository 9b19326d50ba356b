"""Commands on a device, each over a connection of the system's ssh.

It uses the user's configuration, keys, agent and known hosts. Host keys are checked as configured, and nothing prompts:
BatchMode makes ssh fail instead.
"""

import json
import shlex
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import segeval_runner
from segeval.errors import MissingPrerequisiteError, RemoteError

from ..run_runner import parsed
from .destination import Destination
from .refusals import ConnectionLostError, refusal

# A dead connection is noticed after 45 s. The user's forwardings and remote command are for sessions by hand.
OPTIONS = (
    "BatchMode=yes",
    "ConnectTimeout=15",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=3",
    "ClearAllForwardings=yes",
    "RemoteCommand=none",
)
SSH_FAILED = 255
RSYNC_LOST = (10, 12, 30, 35)
"""Exit codes of rsync for a connection that broke."""
RSYNC_CANNOT_WRITE = 11
"""Of rsync too. Its reason often does not reach us any more; that it may write was tried before."""
DISK_IS_FULL = ("No space left on device", "Wrote only")
"""rsync and the system say the one, GNU tar the other."""
NOT_FOUND = (126, 127)
LAST_WORDS = 4000
"""So many bytes of what a command said on stderr are looked at."""
LONGEST_PAUSE = 30.0

# Python 3.7 and older cannot even read the program: it is text until the version is known.
PROGRAM = """\
import json, sys
sys.path[:] = [folder for folder in sys.path if folder]
if sys.version_info < (3, 8):
    print(json.dumps({{"too_old": "%d.%d" % sys.version_info[:2]}}))
    sys.exit()
names = {{"__name__": "sent"}}
exec(compile({source!r}, "sent", "exec"), names)
print(json.dumps(names[{function!r}](json.loads({request!r}))))
"""


class Connection:
    """A device.

    Attributes:
        python: its interpreter.
        config: for ssh -F.
        patience: seconds to wait for one that is lost.
    """

    def __init__(
        self, destination: Destination, python: str = "python3", config: Path | None = None, patience: float = 600.0
    ) -> None:
        self.destination = destination
        self.python = python
        self.config = config
        self.patience = patience
        self._cancelled = threading.Event()
        self._processes: set[subprocess.Popen[bytes]] = set()

    def ssh(self) -> list[str]:
        """The words of ssh, without a destination."""
        words = ["ssh", "-T", "-x", *(word for option in OPTIONS for word in ("-o", option))]
        words += ["-F", str(self.config)] if self.config else []
        return words + (["-p", str(self.destination.port)] if self.destination.port else [])

    def error(self, what: str, hint: str = "") -> RemoteError:
        """An error that names the device."""
        return RemoteError(f"{self.destination.text}: {what}", hint)

    def run(self, words: Sequence[str], given: bytes = b"") -> bytes:
        """The stdout of a command on the device.

        Raises RemoteError.

        Args:
            words: the command and its arguments.
            given: its stdin.
        """
        with self.process(words) as process:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(given)
            process.stdin.close()
            return process.stdout.read()

    def call(self, module: str, function: str, request: Any) -> Any:
        """Call a function of a module of the runner on the device, which may not have it yet. Raises RemoteError."""
        source = (Path(segeval_runner.__file__).parent / f"{module}.py").read_text(encoding="utf-8")
        program = PROGRAM.format(source=source, function=function, request=json.dumps(request))
        answer = self.run([self.python, "-"], program.encode())
        try:
            found = json.loads(answer)
        except ValueError as error:
            hint = "does its shell print something when it starts without a terminal? then `ssh HOST true` shows it"
            raise self.error(f"it answers with something else: {answer[:80]!r}", hint) from error
        if isinstance(found, dict) and "too_old" in found:
            what = f"{self.python} is Python {found['too_old']}; the runner needs 3.8 or newer"
            raise self.error(what, "name another one with --remote-python")
        return found

    def lines(self, words: Sequence[str]) -> Iterator[bytes]:
        """The lines of a command on the device as they come. Raises RemoteError when it ends badly."""
        with self.process(words) as process:
            assert process.stdout is not None
            yield from process.stdout

    @contextmanager
    def process(self, words: Sequence[str], here: bool = False) -> Iterator[subprocess.Popen[bytes]]:
        """A command on the device, or `here` one that brings its own ssh; stdin and stdout are pipes.

        Raises RemoteError when the block ends and the command failed; a pipe that it closed says nothing by itself.
        """
        command = list(words) if here else [*self.ssh(), "--", self.destination.for_ssh, shlex.join(words)]
        with tempfile.TemporaryFile() as said:
            process = self._started(command, said)
            try:
                with suppress(BrokenPipeError):
                    yield process
            except BaseException:
                process.kill()
                raise
            finally:
                for pipe in (process.stdin, process.stdout):
                    with suppress(BrokenPipeError):
                        if pipe is not None:
                            pipe.close()
                code = process.wait()
                self._processes.discard(process)
            if self._cancelled.is_set():
                raise self.error("given up")
            if code != 0:
                said.seek(max(0, said.seek(0, 2) - LAST_WORDS))
                raise self.failure(words[0], code, said.read().decode("utf-8", "replace"))

    def _started(self, command: Sequence[str], said: IO[bytes]) -> subprocess.Popen[bytes]:
        try:
            # A session of its own: Ctrl-C is for this program, which then ends its children itself.
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, start_new_session=True
            )
        except FileNotFoundError as error:
            raise MissingPrerequisiteError(
                f"{command[0]} is not installed on this machine", "install OpenSSH's client"
            ) from error
        self._processes.add(process)
        if self._cancelled.is_set():
            process.kill()
        return process

    def failure(self, command: str, code: int, said: str) -> RemoteError:
        """The error for a command that ended with this code and these last words."""
        if any(sign in said for sign in DISK_IS_FULL) or (command == "rsync" and code == RSYNC_CANNOT_WRITE):
            return self.error("no space left on its disk", "free some space there, then run the same command again")
        if code == SSH_FAILED or code < 0 or (command == "rsync" and code in RSYNC_LOST):
            return refusal(self.destination, said)
        if code in NOT_FOUND:
            hint = f"install {command} there"
            if command == self.python:
                hint = "install Python 3.8 or newer with numpy there, or name another one with --remote-python"
            return self.error(f"there is no {command}", hint)
        event = next((event for event in map(parsed, reversed(said.splitlines())) if event and event.error), None)
        if event is not None:
            return self.error(event.error, event.hint)
        return self.error(f"{command} ended with code {code}\n{said.strip()}")

    def persist(self, lost: ConnectionLostError, since: float, attempt: int) -> None:
        """Wait before another attempt.

        Raises the error if that is too long.

        Args:
            lost: how the connection was lost.
            since: when the device last answered.
            attempt: number of the attempt, from 1.
        """
        if time.monotonic() - since > self.patience:
            raise lost
        self._cancelled.wait(min(2.0**attempt, LONGEST_PAUSE))
        if self._cancelled.is_set():
            raise lost

    def cancel(self) -> None:
        """End everything that is under way here; what runs detached on the device goes on."""
        self._cancelled.set()
        for process in list(self._processes):
            process.kill()

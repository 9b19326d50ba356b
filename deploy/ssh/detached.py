"""The detached run on the device: it needs no connection, and is followed over one that may break."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from segeval.progress import Progress

from ..run_runner import Event, parsed
from .connection import Connection
from .place import Place
from .refusals import ConnectionLostError

Answer = TypeVar("Answer")

AGAIN = "run the same command again to continue; what is done is kept there"
KILLED = 128
"""A shell adds the number of the signal to it."""
INTERRUPTED = 130
FULL = 1 << 20
"""A disk with fewer bytes free is full: the runner could not even say so in its log."""
LAST_LINES = 20


class State(msgspec.Struct, frozen=True):
    """What `runner.pyz start` answers."""

    run: str
    words: list[str]
    started: bool


class Message(msgspec.Struct, frozen=True):
    """A line of `runner.pyz follow`."""

    at: int
    line: str = ""
    ended: bool = False
    free: int = 0


class Exit(msgspec.Struct, frozen=True):
    """The last line of a log."""

    exit: int


class Stopped(msgspec.Struct, frozen=True):
    """What `runner.pyz stop` answers."""

    stopped: bool


@dataclass
class Seen:
    """What is known of a run so far.

    Attributes:
        run: its id.
        at: offset in its log.
        code: its exit code, if it said one.
    """

    run: str = ""
    at: int = 0
    code: int | None = None
    error: Event | None = None
    ended: bool = False
    free: int = 0
    talk: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))

    def take(self, line: bytes, progress: Progress) -> None:
        """Note a line of `follow` and pass on the progress in it."""
        message = msgspec.json.decode(line, type=Message)
        self.at, self.ended, self.free = message.at, message.ended, message.free
        text = message.line.strip()
        if not text:
            return
        event = parsed(text)
        if text.startswith('{"exit"'):
            self.code = msgspec.json.decode(text, type=Exit).exit
        elif event is None:
            self.talk.append(text)
        elif event.error:
            self.error = event
        elif event.stage:
            progress(event.stage, event.done, event.total)


def run_detached(connection: Connection, place: Place, words: Sequence[str], progress: Progress) -> None:
    """Start `runner.pyz WORDS…` on the device, or find it running, and pass on its progress until it ended well.

    A connection that is lost is made again. Raises RemoteError, also if something else runs there.
    """
    seen = Seen()
    answered, attempt = time.monotonic(), 0
    runner = [connection.python, place.runner]
    while not seen.ended:
        begin = ["start", "--folder", place.run, "--follow", *words]
        go_on = ["follow", "--folder", place.run, "--run", seen.run, "--offset", str(seen.at)]
        try:
            for line in connection.lines([*runner, *(go_on if seen.run else begin)]):
                answered, attempt = time.monotonic(), 0
                if seen.run:
                    seen.take(line, progress)
                else:
                    seen.run = require_ours(connection, decoded(connection, line, State), words)
        except ConnectionLostError as lost:
            lost.hint = f"the replay continues there. {AGAIN[0].upper()}{AGAIN[1:]}" if seen.run else AGAIN
            connection.persist(lost, answered, attempt)
            attempt += 1
        except msgspec.DecodeError as error:
            raise connection.error(f"its answer is malformed: {error}") from error
    require_success(connection, seen)


def require_ours(connection: Connection, state: State, words: Sequence[str]) -> str:
    """The id of a run. Raises RemoteError if it is not of this command."""
    if state.words != list(words):
        what = f"something else runs there: {' '.join(state.words)}"
        hint = "times would be wrong side by side: wait for it, or end it with its own segeval command and --stop"
        raise connection.error(what, hint)
    return state.run


def require_success(connection: Connection, seen: Seen) -> None:
    """Raise RemoteError unless the run ended well."""
    if seen.code == 0:
        return
    if seen.code == INTERRUPTED:
        raise connection.error("the replay was stopped", AGAIN)
    if seen.error is not None:
        raise connection.error(seen.error.error, seen.error.hint)
    if seen.free < FULL:
        raise connection.error("no space left on its disk", f"free some space there. {AGAIN}")
    said = "\n".join(["", *seen.talk])
    if seen.code is None:
        raise connection.error(f"the runner was killed, or the device restarted{said}", AGAIN)
    if seen.code > KILLED:
        what = f"the runner was killed by signal {seen.code - KILLED}{said}"
        raise connection.error(what, f"a device that is out of memory does that. {AGAIN}")
    raise connection.error(f"the runner ended with code {seen.code}{said}", AGAIN)


def stop(connection: Connection, place: Place) -> bool:
    """End the replay on the device. False if it does not run. Raises RemoteError."""
    words = [connection.python, place.runner, "stop", "--folder", place.run, "--word", place.replay]
    return decoded(connection, connection.run(words), Stopped).stopped


def decoded(connection: Connection, answer: bytes, form: type[Answer]) -> Answer:
    """A JSON answer of the runner. Raises RemoteError."""
    try:
        return msgspec.json.decode(answer, type=form)
    except msgspec.DecodeError as error:
        raise connection.error(f"its answer is malformed: {error}") from error

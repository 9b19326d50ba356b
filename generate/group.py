"""The processes of one command that torchrun started: which work each does, and what they tell each other.

They talk through the key-value store that torchrun keeps for them, not by collective calls: whoever waits here looks
again and again, so that signals, errors and lost processes end the wait.
"""

import atexit
import contextlib
import io
import os
import pickle
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from segeval.errors import ConfigurationError, EngineError
from segeval.torchrun import started_by_torchrun

T = TypeVar("T")

POLL_S = 0.02
"""Seconds between two looks at what another process is to say."""
BEAT_S = 5.0
"""Seconds between two signs of life."""
SILENCE_S = 60.0
"""After which a process counts as lost. torchrun ends the others at once if it was on the same machine."""
JOIN_S = 600.0
"""How long the processes may take to start: PyTorch is read from a shared disk by all at once."""
LAST_WORDS_S = 10.0
"""How long the processes that end after the first one let it speak."""
PIECE = 4 << 20
"""Bytes of one value in the store, which takes 8 MiB at most."""


class Group:
    """The processes of a command; the one of rank 0 leads: it alone writes what all of them share.

    Attributes:
        rank: number of this process.
        size: how many there are.
    """

    def __init__(self, rank: int = 0, size: int = 1, store: Store | None = None) -> None:
        self.rank, self.size = rank, size
        self._store = store
        self._turn = 0
        self._heard: dict[int, tuple[int, float]] = {}
        self._looked = time.monotonic()

    @property
    def leads(self) -> bool:
        """Whether this process speaks for all, and writes what is theirs together."""
        return self.rank == 0

    @property
    def store(self) -> Store:
        """Where the processes leave each other messages."""
        if self._store is None:
            raise RuntimeError("a single process has nobody to talk to")
        return self._store

    def share(self, work: Iterable[T]) -> Iterable[T]:
        """This process's part of some work: every `size`-th piece."""
        return islice(work, self.rank, None, self.size)

    def told(self, work: Callable[[], T]) -> T:
        """What `work` gives the leader, in every process. Raises there what it raises."""
        if self.size == 1:
            return work()
        self._turn += 1
        key = f"told/{self._turn}"
        if self.leads:
            found = work()
            self.post(key, found)
            return found
        told: T = self.awaited(key)
        return told

    def each(self, own: T) -> list[T]:
        """What every process has, by rank."""
        if self.size == 1:
            return [own]
        self._turn += 1
        keys = [f"each/{self._turn}/{rank}" for rank in range(self.size)]
        self.post(keys[self.rank], own)
        return self.told(lambda: [self.awaited(key) for key in keys])

    def gathered(self, own: Sequence[T]) -> list[T]:
        """What came of all pieces of some work, in their order; `own` is of this process's `share`."""
        parts = self.each(own)
        return [parts[place % self.size][place // self.size] for place in range(sum(map(len, parts)))]

    def take(self) -> int:
        """The next number, from 0 on, that no process has taken."""
        return self.asked(lambda store: store.add("taken", 1)) - 1

    def post(self, key: str, value: object) -> None:
        """Leave a message under a new key."""
        data = pickle.dumps(value)
        pieces = [data[start : start + PIECE] for start in range(0, len(data), PIECE)]

        def leave(store: Store) -> None:
            for number, piece in enumerate(pieces):
                store.set(f"{key}/{number}", piece)  # type: ignore[arg-type]  # takes bytes as well
            store.set(key, str(len(pieces)))

        self.asked(leave)

    def posted(self, key: str) -> bool:
        """Whether there is a message under a key."""
        return self.asked(lambda store: store.check([key]))

    def received(self, key: str) -> Any:
        """The message under a key, which is there."""

        def read(store: Store) -> bytes:
            return b"".join(store.get(f"{key}/{number}") for number in range(int(store.get(key))))

        return pickle.loads(self.asked(read))

    def forget(self, key: str) -> None:
        """Remove a message that everybody has read."""

        def remove(store: Store) -> None:
            for number in range(int(store.get(key))):
                store.delete_key(f"{key}/{number}")
            store.delete_key(key)

        self.asked(remove)

    def awaited(self, key: str) -> Any:
        """The message under a key, once it is there."""
        while not self.posted(key):
            self.wait()
        return self.received(key)

    def require_same(self, names: Sequence[str]) -> None:
        """Raise ConfigurationError if there are names of what this process has otherwise than the leader."""
        if names:
            raise ConfigurationError(
                f"process {self.rank} of {self.size} differs from the first in {', '.join(names)}",
                "give all machines the same command, files and versions of segeval and its libraries",
            )

    def wait(self) -> None:
        """A moment. Raises EngineError if a process has gone silent."""
        time.sleep(POLL_S)
        self.require_alive()

    def require_alive(self) -> None:
        """Raise EngineError if a process has gone silent; looks now and then only, however often it is called."""
        now = time.monotonic()
        if now - self._looked < BEAT_S:
            return
        self._looked = now
        for rank in range(self.size):
            beats = self.asked(lambda store, rank=rank: store.add(f"beats/{rank}", 0))  # type: ignore[misc]
            before, heard = self._heard.get(rank, (-1, now))
            self._heard[rank] = (beats, now if beats != before else heard)
            if now - self._heard[rank][1] > SILENCE_S:
                raise lost(f"process {rank} of {self.size} has not been heard of for {SILENCE_S:.0f} s")

    def asked(self, question: Callable[[Store], T]) -> T:
        """What the store answers. Raises EngineError if it is gone, as is the machine that kept it."""
        try:
            return question(self.store)
        except distributed.DistError as error:
            raise lost("the connection to the other processes is lost") from error

    def sent(self, tensor: Tensor, source: int) -> Tensor:
        """The tensor of one process, in every process.

        Args:
            tensor: of this process; of its shape and type.
            source: rank of the process whose tensor it is.

        Raises:
            EngineError: if a process is lost.
        """
        if self.size == 1:
            return tensor
        here = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)  # `broadcast` writes into it
        try:
            if not distributed.is_initialized():
                store = PrefixStore("tensors", self.store)
                distributed.init_process_group("gloo", store=store, rank=self.rank, world_size=self.size)
            distributed.broadcast(here, source)
        except RuntimeError as error:
            raise lost("the connection to the other processes is lost") from error
        return here.to(tensor.device)

    def beat(self) -> None:
        """Give signs of life from now on."""

        ended = threading.Event()

        def beats() -> None:
            with contextlib.suppress(distributed.DistError):  # who needs the store finds out that it is gone
                while not ended.is_set():
                    self.store.add(f"beats/{self.rank}", 1)
                    ended.wait(BEAT_S)

        thread = threading.Thread(target=beats, name="signs of life", daemon=True)
        thread.start()

        @atexit.register  # a thread that is at the store when Python ends would abort the process
        def end() -> None:
            ended.set()
            thread.join(LAST_WORDS_S)


ALONE = Group()
"""One process."""

_here: Group | None = None
"""The group of this process, once it has joined."""


def joined(patience: float = JOIN_S) -> Group:
    """The group that torchrun started this process in, `ALONE` if it did not. Each process gets a GPU of its machine.

    Args:
        patience: how many seconds the others may take to join as well.

    Raises:
        EngineError: if the others cannot be reached, or do not come.
    """
    global _here  # a process is in one group as long as it lives
    if _here is None:
        _here = started(patience) if started_by_torchrun() else ALONE
    return _here


def started(patience: float) -> Group:
    """See `joined`."""
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    try:
        store, rank, size = next(rendezvous("env://"))
        group = Group(rank, size, PrefixStore(agreed(store, rank, size, patience), store))
    except (distributed.DistError, ValueError) as error:
        raise lost("the other processes of torchrun cannot be reached") from error
    group.beat()
    return group


def agreed(store: Store, rank: int, size: int, patience: float) -> str:
    """A name that all processes have in common, and no earlier ones: torchrun keeps its store when it restarts them.

    Every process asks under a name of its own, the first answers with a name of its own until all have thanked.
    """
    own, until = uuid.uuid4().hex, time.monotonic() + patience
    others = [f"segeval/asks/{other}" for other in range(1, size)]

    def answered() -> str | None:
        if rank > 0:
            if not store.check([f"segeval/answers/{own}"]):
                return None
            name = store.get(f"segeval/answers/{own}").decode()
            store.set(f"segeval/thanks/{rank}/{name}", "")
            return name
        late = [key for place, key in enumerate(others, start=1) if not store.check([f"segeval/thanks/{place}/{own}"])]
        for key in late:
            if store.check([key]):
                store.set(f"segeval/answers/{store.get(key).decode()}", own)
        return None if late else own

    if rank > 0:
        store.set(f"segeval/asks/{rank}", own)
    while (name := answered()) is None:
        if time.monotonic() > until:
            raise lost(f"process {rank} of {size} has waited {patience:.0f} s for the others to start")
        time.sleep(POLL_S)
    return name


def lost(what: str) -> EngineError:
    """The error for a process or machine that is gone."""
    return EngineError(what, "start the command again, craft with --resume; the number of processes may differ")


def telling_once(tell: Callable[[], int]) -> int:
    """Say why this process ends, if it is the first of its group to end badly; the others end after it, silently.

    Args:
        tell: says it, and gives the exit code.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # torchrun's, as soon as one process has ended
        signal.signal(number, signal.SIG_IGN)
    silence = io.StringIO()
    try:
        store = joined(LAST_WORDS_S).store
        first = store.add("ended", 1) == 1
    except (EngineError, distributed.DistError):  # whoever kept the store has ended before, and said why
        first = os.environ["RANK"] == "0"
    if first:
        with contextlib.redirect_stdout(sys.__stdout__), contextlib.redirect_stderr(sys.__stderr__):
            code = tell()
        with contextlib.suppress(EngineError, distributed.DistError):
            joined().store.set("said", "")
        return code
    with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
        code = tell()
    until = time.monotonic() + LAST_WORDS_S
    with contextlib.suppress(EngineError, distributed.DistError):
        while time.monotonic() < until and not joined().store.check(["said"]):
            time.sleep(POLL_S)
    return code

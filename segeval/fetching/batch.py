"""Many small downloads in parallel, in threads that do not delay an error or Ctrl-C."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread

from segeval.fetching.download import download
from segeval.fetching.inventory import Inventory
from segeval.fetching.server import Server
from segeval.progress import Progress

THREADS = 8

GRACE = 1.0
"""Seconds that threads are given to end after the first error."""

Job = Callable[[], None]


def fetch_wanted(inventory: Inventory, server: Server, cache: Path, tick: Progress) -> None:
    """Download what an inventory lacks. What is finished stays, whatever ends this.

    Raises FetchError, IntegrityError, StorageError.
    """
    stage, wanted, stop = f"fetching {inventory.source.name}", inventory.wanted, Event()
    jobs = [partial(download, server, file, cache / file.path, stop) for file in wanted]
    tick(stage, 0, len(jobs))
    in_parallel(jobs, stop, lambda done: tick(stage, done, len(jobs)))


def in_parallel(jobs: Sequence[Job], stop: Event, finished: Callable[[int], None]) -> None:
    """Run every job; `finished` is called in this thread with how many are.

    The first error of a job is raised. Whatever ends this sets `stop`, which the jobs heed. The threads are daemons:
    one that waits for a silent server does not keep the program from ending.
    """
    waiting: SimpleQueue[Job] = SimpleQueue()
    ended: SimpleQueue[BaseException | None] = SimpleQueue()
    for job in jobs:
        waiting.put(job)
    threads = [Thread(target=work, args=(waiting, ended, stop), daemon=True) for _ in jobs[:THREADS]]
    try:
        for thread in threads:
            thread.start()
        for done in range(1, len(jobs) + 1):
            error = ended.get()
            if error is not None:
                raise error
            finished(done)
    finally:
        stop.set()
        join([thread for thread in threads if thread.ident is not None])


def work(waiting: SimpleQueue[Job], ended: SimpleQueue[BaseException | None], stop: Event) -> None:
    """Do jobs while there are any, and say how each ended."""
    while not stop.is_set():
        try:
            job = waiting.get_nowait()
        except Empty:
            return
        try:
            job()
        except BaseException as error:
            ended.put(error)
        else:
            ended.put(None)


def join(threads: Sequence[Thread]) -> None:
    """Wait for threads, but not long."""
    deadline = time.monotonic() + GRACE
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))

"""Looking at samples in several processes: their numbers come back in the order of the samples."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from itertools import islice
from math import ceil
from pathlib import Path

from segeval.errors import EngineError
from segeval.files.consistency import consistent_samples
from segeval.files.sets import AdversarialSample
from segeval.processes import Processes, prepared
from segeval_runner.environment import usable_cores

from .inputs import Sources
from .looking import Looked, Looker

TOGETHER = 8
"""Samples that are handed out at once."""
AHEAD = 2
"""Times `TOGETHER` samples per process that are handed out before the oldest ones are taken back."""

WORTH_PROCESSES = 200
"""Samples from which on processes are started where nobody says how many."""

Order = tuple[Path, Sequence[Path]]
Waiting = tuple[Sequence[AdversarialSample], "Future[list[Looked]]"]


def looked_at(sources: Sources, workers: int | None) -> Iterator[tuple[AdversarialSample, Looked]]:
    """Every sample of a set with what is shown of it, in order.

    Raises FormatError, DataError, IntegrityError, EngineError if a process was killed.
    """
    samples = consistent_samples(sources.folder, sources.manifest)
    workers = how_many(workers, sources.manifest.sample_count)
    if workers <= 1:
        look = Looker(sources).look
        for sample in samples:
            yield sample, look(sample)
        return
    killed = EngineError("a counting process was killed, perhaps because memory ran out", "use fewer --workers")
    waiting: deque[Waiting] = deque()
    with Processes(workers, opened, (sources.folder.root, sources.given), killed) as processes:
        while several := list(islice(samples, TOGETHER)):
            # Their curves are long, and not looked at.
            waiting.append((several, processes.submit(look_at, [replace(each, curve=()) for each in several])))
            if len(waiting) > AHEAD * workers:
                yield from taken_back(processes, waiting)
        while waiting:
            yield from taken_back(processes, waiting)


def how_many(workers: int | None, samples: int) -> int:
    """Processes for so many samples.

    Args:
        workers: how many were asked for; None for one per core where that saves more than their start.
        samples: of the set; a process that would have none of them is not started.
    """
    if workers is None:
        workers = usable_cores() if samples >= WORTH_PROCESSES else 1
    return min(workers, ceil(samples / TOGETHER))


def taken_back(processes: Processes, waiting: deque[Waiting]) -> Iterator[tuple[AdversarialSample, Looked]]:
    """The samples that wait longest, with what is shown of them."""
    samples, future = waiting.popleft()
    looked = processes.result(future)
    yield from zip(samples, looked, strict=True)


def opened(order: Order) -> Looker:
    """What a process works with."""
    return Looker(Sources(*order))


def look_at(samples: Sequence[AdversarialSample]) -> list[Looked]:
    """What is shown of some samples."""
    look = prepared(Looker).look
    return [look(sample) for sample in samples]

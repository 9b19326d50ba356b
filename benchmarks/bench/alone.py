"""Work in a process of its own, whose peak of memory is its own too. Linux only: peaks are read from /proc."""

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from .timing import Spent


class Alone(NamedTuple):
    """What work took: seconds, and the peak of resident memory in MiB."""

    spent: Spent
    peak: float


def peak_mebibytes() -> float:
    """The most memory that this process has had resident so far."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def watched(work: Callable[..., object], arguments: tuple[object, ...]) -> Alone:
    """Do it here."""
    wall, cpu = time.perf_counter(), time.process_time()
    work(*arguments)
    return Alone(Spent(time.process_time() - cpu, time.perf_counter() - wall), peak_mebibytes())


def alone(work: Callable[..., object], *arguments: object) -> Alone:
    """Do it in a fresh process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(watched, work, arguments).result()

"""How long `segeval --help` takes, in processes of its own."""

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median

from .record import Measured

TARGET = 0.15
HELP = (sys.executable, "-c", "import sys; from segeval.cli import main; sys.argv = ['segeval', '--help']; main()")


def spent() -> tuple[float, float]:
    """CPU seconds and seconds by the clock of one process."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(HELP, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.perf_counter() - started


def measure(quick: bool) -> Iterator[Measured]:
    """The median process."""
    spent()
    cpu, wall = zip(*(spent() for _ in range(5 if quick else 15)), strict=True)
    yield Measured("start", "segeval --help", median(cpu), target=TARGET)
    yield Measured("start", "segeval --help, by the clock", median(wall))

"""Work and its floor measured alternately, so that what else the machine does meets both."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

Work = Callable[[], object]


@dataclass(frozen=True)
class Spent:
    """Seconds of one call: by the processor, of all threads of this process, and by the clock."""

    cpu: float
    wall: float


def spent(work: Work) -> Spent:
    """What one call takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Spent(time.process_time() - cpu, time.perf_counter() - wall)


@dataclass(frozen=True)
class Pair:
    """Medians over the rounds.

    Attributes:
        ours, floor: CPU seconds.
        ratio, wall: of the CPU seconds, and by the clock, each a median of the ratios of the rounds.
        ours_wall, floor_wall: seconds by the clock.
    """

    ours: float
    floor: float
    ratio: float
    wall: float
    ours_wall: float
    floor_wall: float


def interleaved(ours: Work, floor: Work, rounds: int) -> Pair:
    """Both in turn, after a round that does not count; every other round begins with the floor."""
    ours(), floor()
    pairs: list[tuple[Spent, Spent]] = []
    for number in range(rounds):
        if number % 2:
            least, own = spent(floor), spent(ours)
        else:
            own, least = spent(ours), spent(floor)
        pairs.append((own, least))
    return Pair(
        ours=median(own.cpu for own, _ in pairs),
        floor=median(least.cpu for _, least in pairs),
        ratio=median(own.cpu / least.cpu for own, least in pairs),
        wall=median(own.wall / least.wall for own, least in pairs),
        ours_wall=median(own.wall for own, _ in pairs),
        floor_wall=median(least.wall for _, least in pairs),
    )

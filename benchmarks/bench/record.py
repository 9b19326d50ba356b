"""What a benchmark found, and the file of all that was found."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

Unit = Literal["s", "ms", "MiB"]


def today() -> str:
    """The date in UTC."""
    return datetime.now(UTC).date().isoformat()


@dataclass(frozen=True)
class Measured:
    """One case of a section.

    Attributes:
        section: what is measured: a module of this package.
        case: what of it, with the size of the work.
        ours: what it costs.
        floor: what the work costs that it cannot do without; None for what has no floor.
        ratio: median over the rounds of ours / floor; None without a floor.
        unit: of `ours` and `floor`. Seconds are CPU time unless `case` says otherwise, MiB peaks of resident memory.
        wall: `ratio` by the clock, which other work on the machine disturbs; None where that is not known.
        target: the most that `ratio` is to be, or `ours` without a floor; None for none.
        date: of the measurement.
    """

    section: str
    case: str
    ours: float
    floor: float | None = None
    ratio: float | None = None
    unit: Unit = "s"
    wall: float | None = None
    target: float | None = None
    date: str = field(default_factory=today)

    @property
    def key(self) -> tuple[str, str]:
        """What it is a measurement of."""
        return self.section, self.case

    @property
    def held(self) -> float:
        """What is held to the target."""
        return self.ours if self.ratio is None else self.ratio


@dataclass(frozen=True)
class Results:
    """The file.

    Attributes:
        machine: what computed.
        versions: of the packages that did.
        measured: in the order of the sections.
    """

    machine: str
    versions: dict[str, str]
    measured: tuple[Measured, ...] = ()

    def merged(self, new: Iterable[Measured], sections: Iterable[str]) -> tuple[Measured, ...]:
        """Measurements of all sections in their order; new ones in place of older ones of the same."""
        found = {each.key: each for each in self.measured}
        found.update((each.key, each) for each in new)
        order = list(sections)
        return tuple(sorted(found.values(), key=lambda each: order.index(each.section)))


def read(path: Path) -> Results | None:
    """The results in a file, None if there is none."""
    return msgspec.json.decode(path.read_bytes(), type=Results) if path.exists() else None


def write(path: Path, results: Results) -> None:
    """Write a file of results."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")


def slower(measured: Iterable[Measured], stored: Results, tolerance: float) -> list[str]:
    """In words, what costs more than was stored, beyond the tolerance; only ratios compare between runs.

    Args:
        measured: now.
        stored: earlier.
        tolerance: share of a ratio by which it may be larger.
    """
    before = {each.key: each.ratio for each in stored.measured}
    return [
        f"{each.section}: {each.case}: {each.ratio:.3f} times its floor, was {earlier:.3f}"
        for each in measured
        if each.ratio is not None
        and (earlier := before.get(each.key)) is not None
        and each.ratio > earlier * (1 + tolerance)
    ]

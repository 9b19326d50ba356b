"""Files with one bit or one digit changed: whoever reads them must refuse them, or compute what they would without."""

import math
import os
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from segeval.errors import SegevalError
from segeval_runner.errors import RunnerError
from tests.soak.findings import Finding

Reader = Callable[["Place"], object]
TEXT = (".json", ".jsonl", ".csv", ".sh", ".html")
DIGITS = b"0123456789"
BATCH = 20
"""Flips that one process does in a row."""


class Place:
    """Copies of everything that the commands made, one of which has a changed file."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __getitem__(self, name: str) -> Path:
        return self.root / name

    def fresh(self, name: str) -> Path:
        """A place that is empty, for what a reader writes."""
        path = self.root / "written" / name
        shutil.rmtree(path, ignore_errors=True)
        path.parent.mkdir(exist_ok=True)
        return path

    def copy(self, name: str) -> Path:
        """A copy of a folder, for a reader that writes into it."""
        path = self.fresh(name)
        shutil.copytree(self[name], path)
        return path


@dataclass(frozen=True)
class Kind:
    """A kind of file. files: patterns below the place.   readers: names of `readers.READERS`.   share: of the flips."""

    name: str
    files: tuple[str, ...]
    readers: tuple[str, ...]
    share: float = 1.0

    def found(self, root: Path) -> list[Path]:
        """The files of this kind, relative to the place. Raises RuntimeError if there is none."""
        paths = sorted({path.relative_to(root) for each in self.files for path in root.glob(each) if path.is_file()})
        if not paths:
            raise RuntimeError(f"no file is of the kind {self.name}: {', '.join(self.files)}")
        return paths


@dataclass(frozen=True)
class Flip:
    """One change of one file. at: its byte.   before, after: that byte."""

    path: Path
    at: int
    before: int
    after: int

    def __str__(self) -> str:
        return f"{self.path}, byte {self.at}: {bytes([self.before])!r} became {bytes([self.after])!r}"


def planned(kind: Kind, seed: int, root: Path) -> Flip:
    """The flip of this number; the same for the same files. Half of those of text files are of a digit."""
    dice = random.Random(f"{kind.name}/{seed}")
    path = dice.choice(kind.found(root))
    data = (root / path).read_bytes()
    places = [at for at, byte in enumerate(data) if byte in DIGITS] if path.suffix in TEXT else []
    if places and dice.random() < 0.5:
        at = dice.choice(places)
        return Flip(path, at, data[at], dice.choice([digit for digit in DIGITS if digit != data[at]]))
    at = dice.randrange(len(data))
    return Flip(path, at, data[at], data[at] ^ 1 << dice.randrange(8))


@dataclass(frozen=True)
class Outcome:
    """What came of a flip. refused: by at least one reader; by none if it was harmless."""

    kind: str
    seed: int
    refused: bool
    findings: tuple[Finding, ...]


class Bench:
    """Reads damaged files in a copy of its own."""

    def __init__(self, place: Place, readers: dict[str, Reader]) -> None:
        self.place = place
        self.readers = readers
        self.undamaged: dict[str, object] = {}

    def outcome(self, kind: Kind, seed: int) -> Outcome:
        """Change a file, read it in every way, and put it back."""
        for name in kind.readers:
            if name not in self.undamaged:
                self.undamaged[name] = self.readers[name](self.place)
        flip = planned(kind, seed, self.place.root)
        path = self.place.root / flip.path
        data = path.read_bytes()
        path.write_bytes(data[: flip.at] + bytes([flip.after]) + data[flip.at + 1 :])
        try:
            said = {name: self.read(name) for name in kind.readers}
        finally:
            path.write_bytes(data)
        findings = [
            Finding(kind.name, seed, str(flip), f"{name}: {wrong}") for name, (_, wrong) in said.items() if wrong
        ]
        return Outcome(kind.name, seed, any(refused for refused, _ in said.values()), tuple(findings))

    def read(self, name: str) -> tuple[bool, str]:
        """Whether a reader refuses what is there, and what it does wrong; empty if nothing."""
        try:
            found = self.readers[name](self.place)
        except (SegevalError, RunnerError):
            return True, ""
        except Exception as error:
            return False, f"{type(error).__name__}: {error}"
        return False, "" if found == self.undamaged[name] else f"other results: {told(found, self.undamaged[name])}"


def told(found: object, expected: object) -> str:
    """Where results differ."""
    if isinstance(found, dict) and isinstance(expected, dict):
        names = sorted(str(name) for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
        return ", ".join(names[:3])
    return "the whole"


def shared(kinds: Sequence[Kind], flips: int) -> Iterator[tuple[Kind, range]]:
    """The seeds of every kind, in batches, with its share of all flips, rounded up."""
    total = sum(kind.share for kind in kinds)
    for kind in kinds:
        count = math.ceil(flips * kind.share / total)
        for first in range(0, count, BATCH):
            yield kind, range(first, min(count, first + BATCH))


bench_here: Bench
"""In a process of its own, what it works with."""


def start(originals: Path, folder: Path) -> None:
    """Become a process that reads damaged files."""
    global bench_here
    from tests.soak.readers import READERS

    root = folder / str(os.getpid())
    shutil.copytree(originals, root)
    log = os.open(root / "said.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 2)  # the runner's progress
    bench_here = Bench(Place(root), READERS)


def batch(kind: Kind, seeds: range) -> list[Outcome]:
    """Some flips of a kind."""
    return [bench_here.outcome(kind, seed) for seed in seeds]


def damaged(
    originals: Path, work: Sequence[tuple[Kind, range]], tell: Callable[[Sequence[Finding]], None]
) -> list[Outcome]:
    """All of them, in two processes."""
    found: list[Outcome] = []
    with TemporaryDirectory(prefix="segeval-flips-") as folder:
        given = (originals, Path(folder))
        with ProcessPoolExecutor(2, get_context("spawn"), start, given) as pool:
            for part in [pool.submit(batch, kind, seeds) for kind, seeds in work]:
                found += part.result()
                tell([finding for outcome in part.result() for finding in outcome.findings])
    return found

"""The records of a comparison of two runs, written as compare.json."""

from dataclasses import dataclass, field
from typing import Literal

from ..measure.paired_records import Paired, Tested
from ..measure.row_key import RowKey
from ..measure.within_noise import within_noise
from ..report.renewal import Kept

FILE = "compare.json"
KEPT = Kept("compare", FILE, ("compare.csv", "compare.md"))
"""What `segeval compare` writes."""


@dataclass(frozen=True)
class Only:
    """What one run has and the other lacks, by name. attacks: with the network, and the victims if they were others."""

    engines: tuple[str, ...]
    attacks: tuple[str, ...]
    tasks: tuple[str, ...]
    images: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """One of the two reports.

    Attributes:
        name: of its folder.
        machines, backends: of its replays.
        images: in samples.csv.
    """

    name: str
    set_sha256: str
    machines: tuple[str, ...]
    backends: tuple[str, ...]
    segeval: str
    images: int
    only: Only


@dataclass(frozen=True)
class Change(Tested):
    """A paired difference of one quantity between the runs over the images that both have; A is first, B second.

    Attributes:
        task: None for all tasks that both have together.
        quantity: as in survival.csv.
        paired: without a test for one of several tasks.
        p_holm: p corrected for all tests of the comparison.
        noise_floor: share of labels, the larger one of the two engines; None if unknown.
    """

    model: str
    victims: tuple[str, ...]
    attack: str
    task: str | None
    precision: str
    a_engine: str
    b_engine: str
    quantity: str
    paired: Paired
    p_holm: float | None
    noise_floor: float | None = None

    @property
    def key(self) -> RowKey:
        """What it is about, on the engine of A."""
        return RowKey(self.model, self.victims, self.attack, self.task, self.a_engine)

    @property
    def within_noise(self) -> bool:
        """Whether it is a difference that another order of the same sums makes too."""
        return within_noise(self.paired.difference, self.noise_floor)


@dataclass(frozen=True)
class CleanChange:
    """An engine of both runs on clean images; not tested, since mIoU is one number over all images.

    Attributes:
        miou_difference: B minus A, in -1..1, over the classes of the ground truth; None unless both rest on the same.
        a_p50_ms, b_p50_ms: median latency of a call; None where the replay has none.
        noise_floor: share of labels, the larger one of the two engines; None if unknown.
    """

    model: str
    precision: str
    a_engine: str
    b_engine: str
    a_images: int
    b_images: int
    a_miou: float | None
    b_miou: float | None
    miou_difference: float | None
    a_p50_ms: float | None
    b_p50_ms: float | None
    noise_floor: float | None = None


@dataclass(frozen=True)
class RunComparison:
    """compare.json.

    Attributes:
        changes: significant ones first, then other tested ones, each by size.
        notes: what limits it.
        permutations: of a test, at most; of the 2 ** images that exist, all where they are no more.
        seed: of the draws.
        same_set: whether both runs are of the same adversarial images.
        conditions: sentences on how the runs differ in weights of networks, images, settings of attacks, calibrations,
            threads, engines, devices and modes; empty if they do not.
    """

    a: Run
    b: Run
    same_set: bool
    finding: str
    notes: tuple[str, ...]
    changes: tuple[Change, ...]
    clean: tuple[CleanChange, ...]
    permutations: int
    seed: int
    conditions: str = ""
    schema: Literal["segeval.compare/2"] = field(default="segeval.compare/2")

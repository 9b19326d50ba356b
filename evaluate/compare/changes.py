"""Measures what changed between two runs, image by image."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from segeval.progress import Progress

from ..measure.bootstrap import Floats, derived
from ..measure.clean import miou_difference
from ..measure.paired import compare, holm, paired_values, permutations_for
from ..measure.paired_records import Paired
from ..measure.report_records import CleanRow
from ..measure.report_rows import ReportRows, made_on_files
from ..measure.row_key import RowKey
from ..measure.statistics import QUANTITIES
from ..measure.survival import SampleCounts
from ..measure.within_noise import noise_floor
from .compare_matching import Pair
from .compare_records import Change, CleanChange
from .runs import OpenRun

COMPARED_ON_FILES = ("engine_success", "engine_accuracy")
COMPARED = ("survival", *COMPARED_ON_FILES)


@dataclass(frozen=True)
class Question:
    """One comparison to make.

    Attributes:
        key: on the engine of A.
        tested: or only measured.
        a, b: values per image, nan where one does not exist.
    """

    engines: Pair
    key: RowKey
    quantity: str
    tested: bool
    a: Floats
    b: Floats

    @property
    def identity(self) -> tuple[object, ...]:
        """What tells it from every other one of its comparison."""
        key, other = self.key, self.engines[1]
        return key.model, key.victims, key.attack, key.task, self.quantity, key.engine, other.label

    def answered(self, paired: Paired, p_holm: float | None) -> Change:
        """The record of what came of it."""
        one, other = self.engines
        return Change(
            model=self.key.model,
            victims=self.key.victims,
            attack=self.key.attack,
            task=self.key.task,
            precision=one.precision,
            a_engine=one.label,
            b_engine=other.label,
            quantity=self.quantity,
            paired=paired,
            p_holm=p_holm,
            noise_floor=noise_floor(one, other),
        )


def questions(a: OpenRun, b: OpenRun, pairs: Sequence[Pair]) -> Iterator[Question]:
    """What both runs have samples for, all common tasks together first. Quantities without a value are left out.

    Only the first is tested: every further test would make all of them harder to prove, and the single tasks are
    parts of it. Survival is only of attacks that were made on the network alone.
    """
    on_files = made_on_files(a.report.set.attacks)
    for one, other in pairs:
        for key, mine in a.samples.items():
            theirs = b.samples.get(key.on(other.label))
            if (key.model, key.engine) != (one.model, one.label) or theirs is None:
                continue
            for place, (task, first, second) in enumerate(by_task(mine, theirs)):
                for quantity in COMPARED if key.attack not in on_files else COMPARED_ON_FILES:
                    values = paired_values(first, second, QUANTITIES[quantity])
                    if (np.isfinite(values[0]) & np.isfinite(values[1])).any():
                        yield Question((one, other), replace(key, task=task), quantity, place == 0, *values)


def by_task(
    a: Sequence[SampleCounts], b: Sequence[SampleCounts]
) -> Iterator[tuple[str | None, Sequence[SampleCounts], Sequence[SampleCounts]]]:
    """The samples of both for each task that both have; before them those of all tasks, if there are several."""
    others = {row.task for row in b}
    tasks = [task for task in dict.fromkeys(row.task for row in a) if task in others]
    if len(tasks) > 1:
        yield None, a, b  # samples of a task that only one has find no partner
    for task in tasks:
        yield task, [row for row in a if row.task == task], [row for row in b if row.task == task]


def tests_of(asked: Sequence[Question]) -> int:
    """How many of them are tested."""
    return sum(question.tested for question in asked)


def measure(asked: Sequence[Question], seed: int, progress: Progress) -> list[Change]:
    """The answers with p-values corrected for their number: significant ones first, then others, then untested ones.

    In each of these the largest differences are first.
    """
    permutations = permutations_for(tests_of(asked))
    found = []
    for done, each in enumerate(asked, start=1):
        drawn = derived(seed, "change", *each.identity)
        found.append(compare(each.a, each.b, drawn, permutations if each.tested else 0))
        progress("comparing", done, len(asked))
    corrected = holm([paired.p for paired in found])
    changes = [each.answered(paired, p) for each, paired, p in zip(asked, found, corrected, strict=True)]
    return sorted(changes, key=place)


def place(change: Change) -> tuple[bool, bool, float]:
    """Where a change stands."""
    return not change.significant, change.paired.p is None, -abs(change.paired.difference or 0)


def clean_changes(a: OpenRun, b: OpenRun, pairs: Sequence[Pair]) -> Iterator[CleanChange]:
    """The engines of both runs on clean images."""
    mine, theirs = (ReportRows.of(run.report).clean_by_engine for run in (a, b))
    for one, other in pairs:
        first, second = mine.get((one.model, one.label)), theirs.get((other.model, other.label))
        if first is not None and second is not None:
            yield clean_change(first, second, noise_floor(one, other))


def clean_change(a: CleanRow, b: CleanRow, floor: float | None) -> CleanChange:
    """One engine on clean images.

    Args:
        a: the first run's row.
        b: the second run's.
        floor: of noise, 0..1.
    """
    return CleanChange(
        model=a.model,
        precision=a.precision,
        a_engine=a.engine,
        b_engine=b.engine,
        a_images=a.images,
        b_images=b.images,
        a_miou=a.miou,
        b_miou=b.miou,
        miou_difference=miou_difference(b, a),
        a_p50_ms=a.latency.p50 if a.latency else None,
        b_p50_ms=b.latency.p50 if b.latency else None,
        noise_floor=floor,
    )

"""From counts to the rows of accuracy and mIoU under attack: the worst case of several attacks, then every attack."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from segeval.files.sets import AttackSpec

from .bootstrap import Floats, derived
from .class_pixels import ClassPixels
from .comparable import Comparable, comparable_attacks
from .estimate_records import Estimate
from .report_records import DESKTOP, SurvivalRow
from .row_key import RowKey
from .statistics import estimate, estimated
from .under_attack import Total, UnderAttackTally
from .under_attack_records import AttackedRow, Scores


@dataclass(frozen=True)
class Subject:
    """What a row is about besides its numbers.

    Attributes:
        row: of the engine, or for the desktop the one with the most images.
        attacks: labels of one attack, or of those of a group.
        key: of the row; the group's label stands for the attack.
    """

    key: RowKey
    row: SurvivalRow
    attacks: tuple[str, ...]
    budget: float | None
    missing: int


def attacked_rows(
    survival: Sequence[SurvivalRow], tally: UnderAttackTally, attacks: Sequence[AttackSpec], seed: int
) -> tuple[AttackedRow, ...]:
    """Rows for the desktop and every engine; per model and victims the worst cases come first.

    Args:
        survival: the rows of the survival table, in order.
        tally: what was counted.
        attacks: of the set.
        seed: of the report.
    """
    found: list[AttackedRow] = []
    budgets = {spec.label: spec.budget for spec in attacks}
    for model, victims in dict.fromkeys((row.model, row.victims) for row in survival):
        own = [row for row in survival if (row.model, row.victims) == (model, victims)]
        for group in comparable_attacks(attacks):
            found += (worst_row(subject, tally, seed) for subject in worst_subjects(own, group))
        found += (attack_row(subject, tally, seed) for subject in attack_subjects(own, budgets))
    return tuple(found)


def with_desktop(rows: Iterable[SurvivalRow]) -> Iterator[tuple[RowKey, list[SurvivalRow]]]:
    """Rows of each attack and task by engine, and before them all of these for the desktop."""
    groups: dict[RowKey, list[SurvivalRow]] = {}
    for row in rows:
        groups.setdefault(row.key.over_engines(), []).append(row)
    for key, group in groups.items():
        yield key.on(DESKTOP), group
        yield from ((row.key, [row]) for row in group)


def attack_subjects(rows: Iterable[SurvivalRow], budgets: Mapping[str, float | None]) -> Iterator[Subject]:
    """Every attack on the desktop and on each engine."""
    for key, group in with_desktop(rows):
        row = max(group, key=lambda row: row.images)
        missing = 0 if key.engine == DESKTOP else row.missing
        yield Subject(key, row, (key.attack,), budgets[key.attack], missing)


def worst_subjects(rows: Iterable[SurvivalRow], group: Comparable) -> Iterator[Subject]:
    """A group of attacks on the desktop and on each engine that has a row of one of them."""
    by_key: dict[RowKey, list[SurvivalRow]] = {}
    for key, members in with_desktop(row for row in rows if row.attack in group.attacks):
        by_key.setdefault(key.under(group.label), []).extend(members)
    for key, members in by_key.items():
        missing = 0 if key.engine == DESKTOP else sum(row.missing for row in members)
        yield Subject(key, members[0], group.attacks, group.spec.budget, missing)


def attack_row(subject: Subject, tally: UnderAttackTally, seed: int) -> AttackedRow:
    """One attack. Its success is that of the survival table."""
    row = subject.row
    success = row.desktop_success if subject.key.engine == DESKTOP else row.engine_success
    total = tally.total(subject.key)
    return record(subject, tally, total, success, (len(total.images),), seed)


def worst_row(subject: Subject, tally: UnderAttackTally, seed: int) -> AttackedRow:
    """The worst of several attacks for every image and task."""
    cases = tally.worst_cases(subject.key)
    counts = Counter(case.attack for _, case in cases)
    chosen = tuple(counts[attack] for attack in subject.attacks)
    parts = per_image((image, (case.hit, case.phi)) for image, case in cases)
    success = estimate(parts, derived(seed, "worst", *asdict(subject.key).values()))
    return record(subject, tally, tally.total_of(cases), success, chosen, seed)


def record(
    subject: Subject, tally: UnderAttackTally, total: Total, success: Estimate, chosen: tuple[int, ...], seed: int
) -> AttackedRow:
    """The row of a subject.

    Args:
        subject: what it is about.
        tally: of the clean images.
        total: of the adversarial ones.
        success: of the attack.
        chosen: samples that each of the attacks was chosen on.
        seed: of the report.
    """
    key, row = subject.key, subject.row
    desktop = key.engine == DESKTOP
    totals = (tally.clean(key, total), total)
    means = estimated([mious(each) for each in totals], derived(seed, "nmiou", *asdict(key).values()))
    clean, attacked = (scores(each.pixels, mean) for each, mean in zip(totals, means, strict=True))
    return AttackedRow(
        **asdict(key),
        scope=row.scope,
        precision="fp32" if desktop else row.precision,
        attacks=subject.attacks,
        chosen=chosen,
        budget=subject.budget,
        images=len(set(total.images)),
        missing=subject.missing,
        success=success,
        against=total.against,
        truth=tuple(total.pixels.truth.tolist()),
        clean=clean,
        attacked=attacked,
        variant="" if desktop else row.variant,
        corruption="" if desktop else row.corruption,
        own="" if desktop else row.own,
    )


def scores(pixels: ClassPixels, nmiou: Estimate) -> Scores:
    """The scores of label maps that were added up. nmiou: of them one by one."""
    return Scores(
        pixel_accuracy=pixels.accuracy,
        miou=pixels.miou,
        cmiou=pixels.cmiou,
        nmiou=nmiou,
        class_iou=tuple(None if np.isnan(iou) else iou for iou in pixels.iou.tolist()),
        predicted=tuple(pixels.predicted.tolist()),
        hit=tuple(pixels.hit.tolist()),
    )


def mious(total: Total) -> Floats:
    """(images, 2) whose quotients are the mIoU of each image, a mean where it was attacked for several tasks."""
    return per_image((image, (miou, 1)) for image, miou in zip(total.images, total.mious, strict=True))


def per_image(parts: Iterable[tuple[str, tuple[float, float]]]) -> Floats:
    """(images, 2) sums over the samples of each image."""
    sums: dict[str, Floats] = {}
    for image, part in parts:
        sums[image] = sums.get(image, np.zeros(2)) + part
    return np.array(list(sums.values()), np.float64).reshape(-1, 2)

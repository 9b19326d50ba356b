"""Counts for accuracy and mIoU under attack, and under the worst of several attacks for every image."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from segeval.files.sets import AdversarialSet
from segeval.metrics import Labels

from .class_pixels import ClassPixels
from .comparable import comparable_attacks
from .row_key import RowKey
from .under_attack_records import Against

Place = tuple[str, str, str]
"""A model, one of its engines or the desktop, and an image."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One label map against its reference. miou: of it alone, nan where the reference has no labelled pixel."""

    pixels: ClassPixels
    miou: float
    against: Against

    @classmethod
    def of(cls, pixels: ClassPixels, against: Against) -> "Seen":
        """What is kept of the counts of a label map."""
        miou = pixels.miou
        return cls(ClassPixels(pixels.counts.astype(np.uint32)), np.nan if miou is None else miou, against)


@dataclass(frozen=True, slots=True)
class Reference:
    """What the label maps (H, W) of a sample are compared with.

    Attributes:
        labels: (H, W), those from `classes` on are ignored.
        against: what it is.
        classes: in the table.
    """

    labels: Labels
    against: Against
    classes: int

    @classmethod
    def of(cls, truth: Labels | None, clean: Labels, classes: int) -> "Reference":
        """The ground truth, or without one the network's clean prediction."""
        return cls(clean, "clean prediction", classes) if truth is None else cls(truth, "ground truth", classes)

    def seen(self, labels: Labels, known: tuple[Seen, Labels] | None = None) -> Seen:
        """Counts of a label map. known: of a similar one, which are quicker to change than to make."""
        if known is None:
            return Seen.of(ClassPixels.of(self.labels, labels, self.classes), self.against)
        seen, before = known
        return Seen.of(ClassPixels.near(seen.pixels, before, self.labels, labels, self.classes), self.against)


class Total:
    """Label maps against one kind of reference, added up. images: of each of them, with `mious`."""

    def __init__(self, classes: int, against: Against) -> None:
        self.against = against
        self.pixels = ClassPixels(np.zeros((3, classes), np.int64))
        self.images: list[str] = []
        self.mious = array("d")

    def add(self, image: str, seen: Seen) -> None:
        """Add a label map."""
        self.pixels += seen.pixels
        self.images.append(image)
        self.mious.append(seen.miou)

    def add_all(self, other: "Total") -> None:
        """Add those of another one."""
        self.pixels += other.pixels
        self.images += other.images
        self.mious += other.mious


@dataclass(frozen=True, slots=True)
class Worst:
    """The attack with the most success on an image so far."""

    attack: str
    hit: int
    phi: int
    seen: Seen


class UnderAttackTally:
    """Counts of every attack and every group of attacks, by row.

    Of a clean image one count per engine is kept, of an adversarial one none but the worst of its group: memory grows
    with the images less than that of the samples' counts does.

    Attributes:
        totals: by row and by what they are against.
        worst: by row, whose attack is the label of the group, and by image.
    """

    def __init__(self, manifest: AdversarialSet) -> None:
        self.classes = len(manifest.table)
        self.totals: dict[tuple[RowKey, Against], Total] = {}
        self.worst: dict[RowKey, dict[str, Worst]] = {}
        self._clean: dict[Place, Seen] = {}
        groups = comparable_attacks(manifest.attacks)
        self._group_of = {attack: group.label for group in groups for attack in group.attacks}

    def add(self, key: RowKey, image: str, clean: Seen, adversarial: Seen, hit: int, phi: int) -> None:
        """Add a sample on one engine, or on the desktop.

        Args:
            key: its row.
            image: that was attacked.
            clean: what is shown of the clean image, the same for all samples of the image.
            adversarial: what is shown of the adversarial one.
            hit: pixels of φ that are hit.
            phi: pixels of φ, the same for all attacks of the row's victims and task.
        """
        self._clean.setdefault((key.model, key.engine, image), clean)
        if (key, adversarial.against) not in self.totals:
            self.totals[key, adversarial.against] = Total(self.classes, adversarial.against)
        self.totals[key, adversarial.against].add(image, adversarial)
        if group := self._group_of.get(key.attack):
            cases = self.worst.setdefault(key.under(group), {})
            if image not in cases or hit > cases[image].hit:
                cases[image] = Worst(key.attack, hit, phi, adversarial)

    def total(self, key: RowKey) -> Total:
        """What was counted for a row, against the ground truth where any of its images has one."""
        found = [total for (leaf, _), total in self.totals.items() if key.covers(leaf)]
        total = Total(self.classes, reference_of(each.against for each in found))
        for each in found:
            if each.against == total.against:
                total.add_all(each)
        return total

    def worst_cases(self, key: RowKey) -> list[tuple[str, Worst]]:
        """Image and worst attack of every image and task of a row whose attack is a group of them."""
        return [case for leaf, cases in self.worst.items() if key.covers(leaf) for case in cases.items()]

    def total_of(self, cases: Sequence[tuple[str, Worst]]) -> Total:
        """What was counted for these, against the ground truth where any of their images has one."""
        total = Total(self.classes, reference_of(case.seen.against for _, case in cases))
        for image, case in cases:
            if case.seen.against == total.against:
                total.add(image, case.seen)
        return total

    def clean(self, key: RowKey, total: Total) -> Total:
        """What the engine of a row sees in the clean versions of the same images, each as often as it was attacked."""
        clean = Total(self.classes, total.against)
        for image in total.images:
            clean.add(image, self._clean[key.model, key.engine, image])
        return clean


def reference_of(known: Iterable[Against]) -> Against:
    """What a row is compared with: the ground truth if any of its images has one."""
    return "ground truth" if "ground truth" in known else "clean prediction"

"""Survival of one attacked image on one engine, as exact pixel counts.

Let A be the pixels of φ that the network shows as the adversarial class on the desktop, in fp32. What survives is the
part of A that the engine shows as the adversarial class too: survival = |survived| / |A|. It flatters weak attacks,
so success on the engine is counted too, and the pixels that deployment changes on the clean image.
docs/survival.md defines every quantity.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.files.sets import AdversarialSample, TaskRecord
from segeval.metrics import AttackMeter, Labels, Mask

from .row_key import Keyed


@dataclass(frozen=True)
class LabelMaps:
    """What the counting looks at, (H, W) each.

    Attributes:
        phi: pixels the attack wants to change.
        truth: ground truth with IGNORE, or None.
        desktop_*: torch, fp32.
        engine_*: the deployed network.
        *_clean, *_adversarial: the image that was shown.
        margins: over the pixels of φ, row by row, of the desktop on the adversarial image in logits; None if not saved.
        reference: clean prediction of the victims, which an untargeted attack leads away from; None where none does.
        corrupted: whether the engine's images went through a corruption, which the desktop's never do.
    """

    phi: Mask
    truth: Labels | None
    desktop_clean: Labels
    desktop_adversarial: Labels
    engine_clean: Labels
    engine_adversarial: Labels
    margins: NDArray[np.floating[Any]] | None = None
    reference: Labels | None = None
    corrupted: bool = False


@dataclass(frozen=True, slots=True)
class SampleCounts(Keyed):
    """One sample on one engine; a row of samples.csv. Every share in a report is a quotient of sums of these.

    Attributes:
        pixels: of the image.
        phi: of φ.
        desktop_hit: |A|.
        engine_hit: pixels of φ the engine shows as the adversarial class.
        survived: pixels of A among them.
        clean_hit: pixels of φ that the engine shows as the adversarial class on the clean image.
        changed, changed_phi: pixels of the image and of φ that the engine labels differently from the desktop on the
            clean image.
        source, other: ground-truth source pixels, and other labelled pixels;
        *_correct: those that are right on the adversarial image. None without ground truth.
        mean, mean_phi, l2, linf: the perturbation in 0–255 levels.
        already: pixels of φ hit on the engine on both images.
        desktop_damaged, engine_damaged: pixels of φ shown as no source class of the task on the adversarial image.
        damage_survived: on both.
        clean_damaged: on the engine's clean image.
        evaded: pixels of φ hit on the engine on the adversarial image and not on the clean one, while the desktop
            predicts the same on both. None where it is not known: behind a corruption, which the desktop's images do
            not go through, and in files of earlier versions.
        margin_survived_sum, margin_lost_sum: of the desktop's margins, in logits, over the pixels of A that survived,
            and over the others. None without margins.
    """

    sample: str
    image: str
    task: str
    attack: str
    victims: tuple[str, ...]
    model: str
    engine: str
    pixels: int
    phi: int
    desktop_hit: int
    engine_hit: int
    survived: int
    clean_hit: int
    changed: int
    changed_phi: int
    source: int | None
    desktop_source_correct: int | None
    engine_source_correct: int | None
    other: int | None
    desktop_other_correct: int | None
    engine_other_correct: int | None
    mean: float
    mean_phi: float
    l2: float
    linf: int
    already: int = 0
    desktop_damaged: int = 0
    engine_damaged: int = 0
    damage_survived: int = 0
    clean_damaged: int = 0
    margin_survived_sum: float | None = None
    margin_lost_sum: float | None = None
    evaded: int | None = None

    @property
    def gained(self) -> int:
        """Pixels of φ hit on the engine and not on the desktop."""
        return self.engine_hit - self.survived

    @property
    def lost(self) -> int:
        """Pixels of A that are not hit on the engine."""
        return self.desktop_hit - self.survived


def margin_sums(maps: LabelMaps, survived: Mask, achieved: Mask) -> tuple[float | None, float | None]:
    """Sums of the margins over the pixels that survived, and over those of A that did not; None without margins."""
    if maps.margins is None:
        return None, None
    margins = maps.margins.astype(np.float64)
    kept, all_hit = survived[maps.phi], achieved[maps.phi]
    return float(margins[kept].sum()), float(margins[all_hit & ~kept].sum())


def count_sample(sample: AdversarialSample, task: TaskRecord, model: str, engine: str, maps: LabelMaps) -> SampleCounts:
    """Count one sample on one engine."""
    phi, goal, reference = maps.phi, task.goal, maps.reference
    meter = AttackMeter(phi, goal, maps.truth, reference)
    desktop, deployed = meter.count(maps.desktop_adversarial), meter.count(maps.engine_adversarial)
    achieved = phi & goal.reached(maps.desktop_adversarial, reference)
    hit = phi & goal.reached(maps.engine_adversarial, reference)
    survived = achieved & hit
    clean_hit = phi & goal.reached(maps.engine_clean, reference)
    desktop_damaged = phi & goal.damaged(maps.desktop_adversarial, reference)
    engine_damaged = phi & goal.damaged(maps.engine_adversarial, reference)
    margin_survived, margin_lost = margin_sums(maps, survived, achieved)
    changed = maps.engine_clean != maps.desktop_clean
    unseen = hit & ~clean_hit & (maps.desktop_adversarial == maps.desktop_clean)
    return SampleCounts(
        sample=sample.id,
        image=sample.image,
        task=sample.task,
        attack=sample.attack,
        victims=sample.victims,
        model=model,
        engine=engine,
        pixels=phi.size,
        phi=desktop.phi,
        desktop_hit=desktop.hit,
        engine_hit=deployed.hit,
        survived=int(np.count_nonzero(survived)),
        clean_hit=int(np.count_nonzero(clean_hit)),
        changed=int(np.count_nonzero(changed)),
        changed_phi=int(np.count_nonzero(changed & phi)),
        source=desktop.source,
        desktop_source_correct=desktop.source_correct,
        engine_source_correct=deployed.source_correct,
        other=desktop.other,
        desktop_other_correct=desktop.other_correct,
        engine_other_correct=deployed.other_correct,
        mean=sample.norms.mean,
        mean_phi=sample.norms.mean_phi,
        l2=sample.norms.l2,
        linf=sample.norms.linf,
        already=int(np.count_nonzero(clean_hit & hit)),
        desktop_damaged=int(np.count_nonzero(desktop_damaged)),
        engine_damaged=int(np.count_nonzero(engine_damaged)),
        damage_survived=int(np.count_nonzero(desktop_damaged & engine_damaged)),
        clean_damaged=int(np.count_nonzero(phi & goal.damaged(maps.engine_clean, reference))),
        margin_survived_sum=margin_survived,
        margin_lost_sum=margin_lost,
        evaded=None if maps.corrupted else int(np.count_nonzero(unseen)),
    )

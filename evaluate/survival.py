"""Survival of one attacked image on one engine, as exact pixel counts.

Let A be the pixels of φ that the network shows as the adversarial class on the desktop, in fp32. What survives is the
part of A that the engine shows as the adversarial class too: survival = |survived| / |A|. It flatters weak attacks,
so success on the engine stands beside it; and some pixels change on the clean image already, so that is counted too.
"""

from dataclasses import dataclass

import numpy as np

from segeval.metrics import Labels, Mask, count_attack
from segeval.records import AdversarialSample, TaskRecord


@dataclass(frozen=True)
class LabelMaps:
    """What the counting looks at, (H, W) each.

    phi: pixels the attack wants to change.   truth: ground truth with IGNORE, or None.
    desktop_*: torch, fp32.   engine_*: the deployed network.   *_clean, *_adversarial: the image that was shown.
    """

    phi: Mask
    truth: Labels | None
    desktop_clean: Labels
    desktop_adversarial: Labels
    engine_clean: Labels
    engine_adversarial: Labels


@dataclass(frozen=True)
class SampleCounts:
    """One sample on one engine; a row of samples.csv. Every share in a report is a quotient of sums of these.

    pixels: of the image.   phi: of φ.   desktop_hit: |A|.   engine_hit: pixels of φ the engine shows as the
    adversarial class.   survived: pixels of A among them.   clean_hit: pixels of φ that the engine shows as the
    adversarial class on the clean image.   changed, changed_phi: pixels of the image and of φ that the engine labels
    differently from the desktop on the clean image.   source, other: ground-truth source pixels, and other labelled
    pixels; *_correct: those that are right on the adversarial image. None without ground truth.
    mean, mean_phi, l2, linf: the perturbation in 0–255 levels.
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


def count_sample(sample: AdversarialSample, task: TaskRecord, model: str, engine: str, maps: LabelMaps) -> SampleCounts:
    """Count one sample on one engine."""
    phi, target = maps.phi, task.target
    desktop = count_attack(maps.desktop_adversarial, phi, target, maps.truth, task.sources)
    deployed = count_attack(maps.engine_adversarial, phi, target, maps.truth, task.sources)
    achieved = phi & (maps.desktop_adversarial == target)
    changed = maps.engine_clean != maps.desktop_clean
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
        survived=int(np.count_nonzero(achieved & (maps.engine_adversarial == target))),
        clean_hit=int(np.count_nonzero(phi & (maps.engine_clean == target))),
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
    )

"""One pass over a set and its replays: one sample in memory at a time, numbers kept."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from segeval.errors import DataError, IntegrityError
from segeval.files.consistency import consistent_samples
from segeval.files.npy import Margins
from segeval.files.sets import AdversarialSample
from segeval.metrics import Labels, Mask, count_attack
from segeval.progress import Progress

from .breakdown import BreakdownTally
from .clean import CleanTally
from .curves import CurveTally
from .decomposition import Decomposition, Shape
from .inputs import Engine, Sources
from .report_records import DESKTOP
from .row_key import RowKey
from .survival import LabelMaps, SampleCounts, count_sample
from .under_attack import Shown, UnderAttackTally
from .under_attack_records import Against


@dataclass
class Counted:
    """What the pass found.

    Attributes:
        missing: samples that an unfinished replay lacks, per row.
        attacked: images of the set that have a sample, replayed or not.
        breakdown: of engines as they ship.
    """

    under_attack: UnderAttackTally
    rows: list[SampleCounts] = field(default_factory=list)
    clean: dict[tuple[str, str], CleanTally] = field(default_factory=dict)
    curves: CurveTally = field(default_factory=CurveTally)
    breakdown: BreakdownTally = field(default_factory=BreakdownTally)
    missing: Counter[RowKey] = field(default_factory=Counter)
    attacked: set[str] = field(default_factory=set)


def evaluated_models(sources: Sources, sample: AdversarialSample) -> Iterator[tuple[str, list[Engine]]]:
    """Models that a sample can be evaluated on, each with its engines: its victims, and others it was shown to."""
    for model in sources.models:
        engines = [engine for engine in sources.engines if engine.model == model]
        if engines and model in sample.counts:
            yield model, engines


def count_everything(sources: Sources, progress: Progress) -> Counted:
    """Count every sample on every engine of its models.

    Raises DataError or IntegrityError naming the file or input that cannot be used, DataError if nothing was counted.
    """
    counted = Counted(UnderAttackTally(sources.manifest))
    for model in sources.models.values():
        classes = len(sources.manifest.table)
        engines = [engine for engine in sources.engines if engine.model == model.name]
        for name, precision in [(DESKTOP, "fp32")] * bool(engines) + [(e.label, e.record.precision) for e in engines]:
            counted.clean[model.name, name] = CleanTally(model.name, name, precision, classes)
    for done, sample in enumerate(consistent_samples(sources.folder, sources.manifest)):
        progress("counting", done, sources.manifest.sample_count)
        counted.attacked.add(sample.image)
        counted.curves.add(sample)
        _count_one(sources, sample, counted)
    progress("counting", sources.manifest.sample_count, sources.manifest.sample_count)
    if not counted.rows:
        raise DataError(
            "no sample of the set was run by any of these replays", "finish segeval replay, then evaluate again"
        )
    return counted


def _count_one(sources: Sources, sample: AdversarialSample, counted: Counted) -> None:
    phi = sources.phi(sample)
    shape = Shape.of(phi)
    task = sources.tasks[sample.task]
    reference = sources.reference(sample)
    for model, engines in evaluated_models(sources, sample):
        truth = sources.truth(sample)
        clean = sources.desktop(sample, model, adversarial=False)
        adversarial = sources.desktop(sample, model, adversarial=True)
        recorded = sample.counts.get(model)
        if recorded and recorded != count_attack(adversarial, phi, task.goal, truth, reference):
            raise IntegrityError(
                f"sample {sample.id}: its label maps give other counts than samples.jsonl", "craft the set again"
            )
        won = task.goal.reached(adversarial, reference)[phi]
        margins = _margins(sources, sample, model, won)
        outputs = len(sources.models[model].outputs)
        parts = Decomposition(shape, clean, adversarial, margins, task.goal, outputs, reference)
        counted.clean[model, DESKTOP].add(sample.image, clean, clean, truth)
        against: tuple[Labels, Against] = (clean, "clean prediction") if truth is None else (truth, "ground truth")
        key = RowKey(model, sample.victims, sample.attack, sample.task, DESKTOP)
        shown = Shown(clean, adversarial, *against)
        desktop = counted.under_attack.add(key, sample.image, shown, int(np.count_nonzero(won)), won.size)
        for engine in engines:
            clean_key, adversarial_key = engine.clean_key(sample.image), engine.adversarial_key(sample.id)
            if engine.pending(clean_key) or engine.pending(adversarial_key):
                counted.missing[key.on(engine.label)] += 1
                continue
            engine_clean = engine.labels(clean_key, sources.shape)
            engine_adversarial = engine.labels(adversarial_key, sources.shape)
            counted.clean[model, engine.label].add(sample.image, engine_clean, clean, truth)
            corrupted = bool(engine.corruption)
            seen = (clean, adversarial, engine_clean, engine_adversarial)
            maps = LabelMaps(phi, truth, *seen, margins, reference, corrupted)
            row = count_sample(sample, task, model, engine.label, maps)
            counted.rows.append(row)
            shown = Shown(engine_clean, engine_adversarial, *against)
            counted.under_attack.add(row.key, sample.image, shown, row.engine_hit, row.phi, desktop)
            if engine.ships:
                counted.breakdown.add(sample, engine, parts.count(engine_adversarial))


def _margins(sources: Sources, sample: AdversarialSample, model: str, won: Mask) -> Margins | None:
    """Margins of a model, None in a set without them. won: of the pixels of φ, where they have to be positive."""
    record = sample.files.get(f"margin:{model}")
    if record is None:
        return None
    margins = sources.folder.margins(record)
    if not np.array_equal(margins > 0, won):
        raise IntegrityError(f"{record.path}: its margins are not those of sample {sample.id}", "craft the set again")
    return margins

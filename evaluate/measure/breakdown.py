"""Survival by margin, distance to the border, object size and class: counts of a pass, and the report's rows."""

from collections.abc import Iterator

import numpy as np

from segeval.files.sets import AdversarialSample
from segeval.progress import Progress

from .bootstrap import derived
from .decomposition import COLUMNS, Bin, Counts, named_bins
from .inputs import Engine, Sources
from .report_records import BreakdownRow, Estimate
from .statistics import estimate

BreakdownKey = tuple[str, tuple[str, ...], str, str]
"""Model, victims, attack, engine."""
REACHED, SURVIVED = COLUMNS.index("desktop_hit"), COLUMNS.index("survived")


class BreakdownTally:
    """Sums the bins of each image's samples, all tasks together: a few hundred numbers per image, no maps."""

    def __init__(self) -> None:
        self._images: dict[BreakdownKey, dict[str, Counts]] = {}
        self._tasks: set[str] = set()

    def add(self, sample: AdversarialSample, engine: Engine, counts: Counts) -> None:
        """Add a sample on one engine. counts: of `Decomposition.count`."""
        images = self._images.setdefault((engine.model, sample.victims, sample.attack, engine.label), {})
        self._tasks.add(sample.task)
        images[sample.image] = images[sample.image] + counts if sample.image in images else counts

    def rows(self, sources: Sources, seed: int, progress: Progress) -> Iterator[BreakdownRow]:
        """One row per bin with a pixel of φ, in the order of the set's models and attacks and of the engines.

        All tasks together: with single ones, most bins would rest on a handful of pixels.
        """
        task = next(iter(self._tasks)) if len(self._tasks) == 1 else None
        bins = {model.name: named_bins(model.outputs) for model in sources.manifest.models}
        engines = {engine.label: engine for engine in sources.engines}
        keys = self._ordered(sources)
        for done, key in enumerate(keys, start=1):
            counts = np.stack(list(self._images[key].values()))  # (images, bins, columns)
            precision = engines[key[-1]].record.precision
            filled = [(own, counts[:, place]) for place, own in enumerate(bins[key[0]]) if counts[:, place].any()]
            for own, pixels in filled:
                drawn = derived(seed, "breakdown", *key, task, own.by, own.name)
                survival = estimate(pixels[:, [SURVIVED, REACHED]].astype(np.float64), drawn)
                yield breakdown_row(key, task, precision, own, pixels, survival)
            progress("breakdown", done, len(keys))

    def _ordered(self, sources: Sources) -> list[BreakdownKey]:
        models = [model.name for model in sources.manifest.models]
        attacks = [attack.label for attack in sources.manifest.attacks]
        labels = [engine.label for engine in sources.engines]

        def place(key: BreakdownKey) -> tuple[int, tuple[str, ...], int, int]:
            model, victims, attack, label = key
            return models.index(model), victims, attacks.index(attack), labels.index(label)

        return sorted(self._images, key=place)


def breakdown_row(
    key: BreakdownKey, task: str | None, precision: str, own: Bin, pixels: Counts, survival: Estimate
) -> BreakdownRow:
    """One bin of one engine under one attack. pixels: (images, columns)."""
    model, victims, attack, engine = key
    phi, desktop_hit, engine_hit, survived = pixels.sum(axis=0).tolist()
    return BreakdownRow(
        model=model,
        victims=victims,
        attack=attack,
        task=task,
        engine=engine,
        precision=precision,
        by=own.by,
        bin=own.name,
        place=own.place,
        images=int(np.count_nonzero(pixels[:, REACHED])),
        phi=phi,
        desktop_hit=desktop_hit,
        engine_hit=engine_hit,
        survived=survived,
        survival=survival,
        low=own.low,
        high=own.high,
    )

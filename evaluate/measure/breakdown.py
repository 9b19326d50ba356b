"""Survival by margin, distance to the border, object size and class: counts of a pass, and the report's rows."""

from collections.abc import Iterator
from dataclasses import asdict, replace

import numpy as np

from segeval.files.sets import AdversarialSample
from segeval.progress import Progress

from .bootstrap import derived
from .decomposition import COLUMNS, Bin, Counts, named_bins
from .estimate_records import Estimate
from .inputs import Sources
from .report_records import BreakdownRow
from .row_key import RowKey
from .statistics import estimate

REACHED, SURVIVED = COLUMNS.index("desktop_hit"), COLUMNS.index("survived")


class BreakdownTally:
    """Sums the bins of each image's samples, all tasks together: a few hundred numbers per image, no maps."""

    def __init__(self) -> None:
        self._images: dict[RowKey, dict[str, Counts]] = {}
        self._tasks: set[str] = set()

    def add(self, sample: AdversarialSample, key: RowKey, counts: Counts) -> None:
        """Add a sample on one engine.

        Args:
            sample: record of the adversarial image.
            key: its row.
            counts: of `Decomposition.count`.
        """
        images = self._images.setdefault(replace(key, task=None), {})
        self._tasks.add(sample.task)
        images[sample.image] = images[sample.image] + counts if sample.image in images else counts

    def rows(self, sources: Sources, seed: int, progress: Progress) -> Iterator[BreakdownRow]:
        """One row per bin with a pixel of φ, in the order of the set's models and attacks and of the engines.

        All tasks together: with single ones, most bins would rest on a handful of pixels.
        """
        task = next(iter(self._tasks)) if len(self._tasks) == 1 else None
        bins = {model.name: named_bins(model.outputs) for model in sources.manifest.models}
        engines = {engine.label: engine for engine in sources.engines}
        keys = sources.ordered(self._images)
        for done, key in enumerate(keys, start=1):
            counts = np.stack(list(self._images[key].values()))  # (images, bins, columns)
            precision = engines[key.engine].record.precision
            filled = [(own, counts[:, place]) for place, own in enumerate(bins[key.model]) if counts[:, place].any()]
            for own, pixels in filled:
                about = (key.model, key.victims, key.attack, key.engine, task)
                drawn = derived(seed, "breakdown", *about, own.by, own.name)
                survival = estimate(pixels[:, [SURVIVED, REACHED]].astype(np.float64), drawn)
                yield breakdown_row(replace(key, task=task), precision, own, pixels, survival)
            progress("breakdown", done, len(keys))


def breakdown_row(key: RowKey, precision: str, own: Bin, pixels: Counts, survival: Estimate) -> BreakdownRow:
    """One bin of one engine under one attack.

    Args:
        key: of the row.
        precision: of the engine.
        own: the bin.
        pixels: (images, columns).
        survival: of all bins together.
    """
    phi, desktop_hit, engine_hit, survived = pixels.sum(axis=0).tolist()
    return BreakdownRow(
        **asdict(key),
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
